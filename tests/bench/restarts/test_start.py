"""One start, followed to its agent: with a dispatcher and rooms that play what happens."""

import pytest

from bench.restarts.start import Follower, StartFate
from client import api as control
from client.api import Refused

pytestmark = pytest.mark.anyio


class Dispatcher:
    """Answers a start as it is told, and each look at the session with the next of `states`, the last for ever."""

    def __init__(self, states, *, refusals=0, retry_after=0.0, first="starting"):
        self._states, self._refusals, self._retry_after, self._first = list(states), refusals, retry_after, first
        self.stopped = []

    async def start(self, *, wait_ms):
        assert wait_ms == 0
        if self._refusals:
            self._refusals -= 1
            raise Refused(503, "no_worker", "no worker", self._retry_after)
        return control.StartAnswer("s", "ws://", "token", self._first, prewarmed=False, reused=False)

    async def session(self, session):
        status = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return {"status": status, "attempt": 2, "endReason": None, "error": "lost" if status == "error" else None}

    async def stop(self, session):
        self.stopped.append(session)


class Room:
    """Has these agents at each look, the last of them for ever."""

    def __init__(self, *looks):
        self._looks = list(looks)

    async def agents(self, room):
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]


class Clock:
    """Goes on when somebody sleeps, and takes no time for it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


async def followed(dispatcher, room, hold=2.0):
    started = StartFate(around=True, at=0.0)
    clock = Clock()
    await Follower(dispatcher, room, clock=clock, sleep=clock.sleep).follow(started, hold)
    return started


async def test_a_start_that_gets_its_one_agent_is_neither_lost_nor_doubled():
    dispatcher = Dispatcher(["starting", "ready"], first="queued")
    started = await followed(dispatcher, Room([], ["agent-s-1"]))
    assert (started.lost, started.doubled, started.queued, started.attempt) == (False, False, True, 2)
    assert started.ready is not None
    assert dispatcher.stopped == ["s"]


async def test_ready_without_an_agent_in_the_room_is_not_ready():
    started = await followed(Dispatcher(["ready"]), Room([]))
    assert started.failed == "ready with 0 agents after 60 s"
    assert started.lost


async def test_an_agent_without_a_ready_record_is_not_ready():
    assert (await followed(Dispatcher(["starting"]), Room(["agent-s-1"]))).lost


async def test_a_start_that_ends_in_an_error_is_lost_even_after_it_was_ready():
    dispatcher = Dispatcher(["ready", "error"])
    started = await followed(dispatcher, Room(["agent-s-1"]))
    assert (started.lost, started.failed) == (True, "error: lost")
    assert started.ready is not None
    assert dispatcher.stopped == ["s"]


async def test_one_that_is_recovering_has_time_to_come_back():
    started = await followed(Dispatcher(["ready", "recovering", "recovering", "ready"]), Room(["agent-s-1"]))
    assert not started.lost


async def test_two_agents_for_more_than_a_moment_are_seen():
    both = ["agent-s-1", "agent-s-2"]
    started = await followed(Dispatcher(["ready"]), Room(["agent-s-1"], both, both, both, both, ["agent-s-2"]))
    assert started.doubled


async def test_a_client_that_is_told_to_try_again_does():
    started = await followed(Dispatcher(["ready"], refusals=3), Room(["agent-s-1"]))
    assert (started.refusals, started.lost, started.session) == (3, False, "s")


async def test_who_is_refused_to_the_end_was_promised_nothing():
    started = await followed(Dispatcher(["ready"], refusals=10, retry_after=100.0), Room([]))
    assert (started.refused, started.lost, started.session) == (True, False, None)
