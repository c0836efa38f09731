"""An agent makes no sound while one of an earlier attempt can still be heard, for a second at most."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from livekit import rtc

from session.fence import agent_identity
from session.record import Session
from tests.pipeline.stage import until
from tests.session.making import a_session
from tests.worker.calls import Scene, a_call
from tests.worker.rooms import FakeRoom, Participant, Publication
from worker.call.predecessors import HOLD_SECONDS, Predecessors

pytestmark = pytest.mark.anyio

THIRD = a_session(attempt=3)


def an_agent(attempt: int, *, kind: int = rtc.TrackKind.KIND_AUDIO, muted: bool = False) -> Participant:
    agent = Participant(agent_identity("session_a", attempt))
    track = agent.track_publications["TR_agent"] = Publication("TR_agent", kind)
    track.muted = muted
    return agent


async def waited(room: FakeRoom, session: Session = THIRD) -> float:
    """Seconds until this session's agent may speak."""
    its: Any = room
    began = time.monotonic()
    await Predecessors(its, session).silent()
    return time.monotonic() - began


@pytest.mark.parametrize("attempt", [1, 2])
async def test_it_waits_for_any_earlier_agent_that_can_be_heard_and_not_for_ever(attempt: int) -> None:
    room = FakeRoom()
    room.join(an_agent(attempt))
    assert HOLD_SECONDS <= await waited(room) < HOLD_SECONDS + 0.5


QUIET: list[Any] = [
    pytest.param([], id="nobody"),
    pytest.param([an_agent(1, muted=True)], id="one that is muted"),
    pytest.param([an_agent(1, kind=rtc.TrackKind.KIND_VIDEO)], id="one that only shows something"),
    pytest.param([Participant(agent_identity("session_a", 1))], id="one without a track"),
    pytest.param([an_agent(3), an_agent(4)], id="itself or its successor"),
    pytest.param([Participant("caller-session_a")], id="the caller"),
]


@pytest.mark.parametrize("people", QUIET)
async def test_it_waits_for_no(people: list[Participant]) -> None:
    room = FakeRoom()
    for each in people:
        room.join(each)
    assert await waited(room) < 0.1


@pytest.mark.parametrize("how", ["leaves", "is muted", "takes its track back"])
async def test_it_speaks_as_soon_as_the_other_one(how: str) -> None:
    room, ghost = FakeRoom(), an_agent(1)
    room.join(ghost)
    waiting = asyncio.create_task(waited(room))
    await asyncio.sleep(0)
    assert not waiting.done()
    if how == "leaves":
        room.leave(ghost, rtc.DisconnectReason.PARTICIPANT_REMOVED)
    elif how == "is muted":
        ghost.track_publications["TR_agent"].muted = True
    else:
        ghost.track_publications.clear()
    assert await waiting < 0.3


async def test_over_the_whole_call_it_waits_no_longer_than_that() -> None:
    room, its = FakeRoom(), an_agent(1)
    room.join(its)
    seen: Any = room
    predecessors = Predecessors(seen, THIRD)
    await predecessors.silent()
    began = time.monotonic()
    for _ in range(10):
        await predecessors.silent()
    assert time.monotonic() - began < 0.3


async def at_the_gate(scene: Scene) -> None:
    """The agent has something to say now."""
    scene.caller_comes()
    await scene.until_kept("it has nothing to say", lambda session: "first_audio" in session.steps)


@pytest.mark.usefixtures("loaded")
async def test_in_a_call_nothing_is_heard_while_the_agent_before_is() -> None:
    async with a_call(attempt=2) as scene:
        ghost = an_agent(1)
        scene.room.join(ghost)
        await at_the_gate(scene)
        assert scene.call._track.queued() == 0
        scene.room.leave(ghost, rtc.DisconnectReason.PARTICIPANT_REMOVED)
        await until(lambda: scene.call._track.queued() > 0, "it speaks", seconds=0.5)


@pytest.mark.usefixtures("loaded")
async def test_in_a_call_a_predecessor_that_stays_silences_nobody_for_long() -> None:
    async with a_call(attempt=2) as scene:
        scene.room.join(an_agent(1))
        await at_the_gate(scene)
        await until(lambda: scene.call._track.queued() > 0, "it speaks", seconds=HOLD_SECONDS + 1)
