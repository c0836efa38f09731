"""An agent that LiveKit answers no more says so, and takes it back when it does again."""

from __future__ import annotations

from typing import Any

import pytest
from livekit import rtc

from session.fence import ALIVE_METHOD
from session.record import BACK_SECONDS, State, dispatched, lost
from session.store.ports import update
from tests.pipeline.stage import until
from tests.worker.calls import a_call
from tests.worker.rooms import FakeRoom
from worker.call.connection import ConnectionWatch, Silence

pytestmark = pytest.mark.anyio


def looks(silence: Silence, answers: int | None, until: float) -> list[float]:
    """Look once a second until then, at a count that stands; the moments at which something changed."""
    changes = []
    now = silence.looked if silence.looked is not None else silence.since
    while now < until:
        now += 1.0
        if silence.look(answers, now):
            changes.append(now)
    return changes


def heard_at_noon() -> Silence:
    silence = Silence(100.0)
    assert not silence.look(900, 100.0)
    return silence


def test_a_few_seconds_without_an_answer_mean_that_the_network_is_cut() -> None:
    silence = heard_at_noon()
    assert looks(silence, 900, 120.0) == [100.0 + BACK_SECONDS]
    assert silence.cut_off
    assert silence.look(901, 121.0)
    assert not silence.cut_off


def test_the_usual_pause_between_two_answers_means_nothing() -> None:
    silence = heard_at_noon()
    for answers, now in enumerate((103.0, 106.0, 109.0), 901):
        assert looks(silence, answers, now) == []


def test_a_renewed_connection_counts_from_zero_and_is_heard_all_the_same() -> None:
    silence = heard_at_noon()
    looks(silence, 900, 105.0)
    assert silence.cut_off
    assert silence.look(3, 106.0)
    assert not silence.cut_off


def test_an_sdk_that_gives_no_answer_has_heard_nothing() -> None:
    assert looks(heard_at_noon(), None, 120.0) == [100.0 + BACK_SECONDS]


def test_who_stood_still_could_hear_nobody_and_concludes_nothing_from_it() -> None:
    silence = heard_at_noon()
    assert looks(silence, 900, 102.0) == []
    assert not silence.look(900, 160.0)
    assert looks(silence, 900, 170.0) == [160.0 + BACK_SECONDS - 2.0]


class DisconnectedRoom(FakeRoom):
    """What the SDK says without a connection."""

    async def get_rtc_stats(self) -> rtc.RtcStats:
        raise RuntimeError("the room isn't connected")


@pytest.mark.parametrize("kind", [FakeRoom, DisconnectedRoom])
async def test_all_connections_are_counted_and_none_is_no_error(kind: type[FakeRoom]) -> None:
    room: Any = kind()
    room.cut = True
    moments = [100.0, 101.0, 103.2, 104.5, 106.0]
    told: list[bool] = []
    watch = ConnectionWatch(room, told.append, lambda: moments.pop(0))
    for _ in range(4):
        await watch.step()
    assert told == [True]


@pytest.mark.faults
@pytest.mark.usefixtures("loaded")
async def test_a_call_that_is_cut_from_livekit_says_so_to_the_store_and_takes_it_back() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.room.cut = True
        session = await scene.until_kept("it says nothing", lambda each: each.cut_off)
        assert (session.state, session.deadline is not None) == (State.READY, True)
        scene.room.cut = False
        session = await scene.until_kept("it is not back", lambda each: not each.cut_off)
        assert (session.state, session.deadline) == (State.READY, None)
        assert scene.context.shutdowns == []


@pytest.mark.faults
@pytest.mark.usefixtures("loaded")
async def test_one_that_was_replaced_meanwhile_falls_silent_and_leaves() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.room.cut = True
        await scene.until_kept("it says nothing", lambda each: each.cut_off)
        await update(scene.store, "session_a", lambda each, now: lost(each, job="job_a", now=now))
        after = await update(scene.store, "session_a", lambda each, now: dispatched(each, now, deadline=now + 2))
        await until(lambda: scene.context.shutdowns == ["superseded"], "it leaves")
        await scene.close()
        assert await scene.session() == after


@pytest.mark.usefixtures("loaded")
async def test_an_agent_answers_through_its_room() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        assert await scene.room.local_participant.methods[ALIVE_METHOD](None) == ""
