"""An agent that is lost, replaced or told to go: what it leaves behind, and that it leaves."""

from __future__ import annotations

import asyncio
import time

import pytest
from livekit import rtc

from session.fence import SUCCESSOR
from session.record import CallerPresence, EndReason, Session, State, dispatched
from session.store.ports import SILENT_SECONDS, update
from tests.pipeline.stage import until
from tests.session.making import NOON, a_worker
from tests.worker.calls import LONG, Context, a_call

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loaded")]


def next_attempt(session: Session, now: float) -> Session:
    return dispatched(session, now, deadline=now + 2)


async def test_an_agent_that_was_replaced_is_silent_leaves_and_writes_no_end() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        replaced = await update(scene.store, "session_a", next_attempt)
        scene.caller_comes()
        await until(lambda: scene.context.shutdowns == ["superseded"], "it leaves")
        await scene.close()
        assert await scene.session() == replaced


def tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


async def test_an_agent_whose_attempt_is_over_learns_so_by_its_signs_of_life_and_falls_silent() -> None:
    async with a_call(config={"greeting": LONG}) as scene:
        scene.caller_comes()
        await until(lambda: scene.call._track.queued() > 0, "it speaks", seconds=20)
        assert "signs of life" in tasks()
        await update(scene.store, "session_a", next_attempt)
        await until(lambda: scene.context.shutdowns == ["superseded"], "it leaves")
        assert scene.call._track.queued() == 0
        await until(lambda: "signs of life" not in tasks(), "it shows no more that it lives")


async def test_signs_of_life_go_on_through_an_outage_of_the_store() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.store.away = True
        missed = scene.store.signs + 2
        await until(lambda: scene.store.signs >= missed, "it goes on trying")
        scene.store.away = False
        await until(lambda: scene.store.signs > missed, "it shows that it lives")
        assert scene.context.shutdowns == []


async def test_a_call_that_is_closed_before_its_end_is_handed_over_while_its_agent_is_in_the_room() -> None:
    async with a_call() as scene:
        scene.caller_comes()
        await scene.until_said(1)
        await scene.close()
        session = await scene.session()
        assert not scene.room.left
        assert SUCCESSOR in scene.states
    assert (session.state, session.job, session.worker) == (State.RECOVERING, None, None)
    assert (session.deadline, session.recoveries) == (NOON, 1)
    assert session.caller is CallerPresence.PRESENT


async def test_a_start_that_is_closed_before_it_is_ready_is_begun_again_at_once() -> None:
    context = Context()
    context.reachable.clear()
    async with a_call(context=context) as scene:
        await scene.close()
        session = await scene.session()
    assert (session.state, session.claimable, session.deadline) == (State.STARTING, False, NOON)


@pytest.mark.parametrize(
    ("reason", "state", "end_reason"),
    [
        (rtc.DisconnectReason.PARTICIPANT_REMOVED, State.RECOVERING, None),
        (rtc.DisconnectReason.SERVER_SHUTDOWN, State.RECOVERING, None),
        (rtc.DisconnectReason.ROOM_DELETED, State.ENDED, EndReason.STOPPED),
        (rtc.DisconnectReason.ROOM_CLOSED, State.ENDED, EndReason.NOT_JOINED),
    ],
)
async def test_an_agent_that_was_thrown_out_is_replaced_unless_the_room_was_closed(
    reason: int, state: State, end_reason: EndReason | None
) -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.room.tell("disconnected", reason)
        await scene.close()
        session = await scene.session()
    assert (session.state, session.end_reason) == (state, end_reason)


async def test_an_agent_whose_worker_died_says_so_and_leaves() -> None:
    async with a_call() as scene:
        await scene.store.beat(a_worker())
        await scene.until_ready()
        await scene.call.abandon()
        session = await scene.session()
        assert SUCCESSOR in scene.states
        assert (session.state, session.job, session.deadline) == (State.RECOVERING, None, NOON)
        assert await scene.store.workers(seen_within=SILENT_SECONDS - 0.1) == []
        assert scene.room.left


async def test_a_call_whose_worker_died_while_it_ended_is_not_begun_again() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.call.end(EndReason.FINISHED)
        await scene.call.abandon()
        assert (await scene.session()).end_reason is EndReason.FINISHED
        assert SUCCESSOR not in scene.states


async def test_an_agent_whose_worker_died_leaves_within_a_second_though_the_store_is_away() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.store.hangs = True
        before = time.monotonic()
        await scene.call.abandon()
        assert time.monotonic() - before < 1
        assert scene.room.left
        scene.store.hangs = False
