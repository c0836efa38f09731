"""A call from its claim to its end: the real conversation and a real track, in a room without a server."""

from __future__ import annotations

import time

import pytest
from livekit import rtc
from livekit.agents.types import TOPIC_CHAT
from livekit.rtc.participant import PublishTrackError

from session.fence import SUCCESSOR
from session.record import CallerPresence, EndReason, ErrorReason, State, ended
from session.store.ports import update
from session.timing import CALL_END_SECONDS, STORE_SOCKET_SECONDS
from tests.pipeline.stage import until
from tests.worker.calls import CALLER, GREETING, Context, a_call
from tests.worker.rooms import Letter
from worker.call.caller_patience import Patience

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loaded")]


async def test_a_caller_is_greeted_and_answered_and_all_of_it_is_kept() -> None:
    async with a_call() as scene:
        scene.caller_comes()
        assert await scene.until_said(1) == [("agent", GREETING)]
        scene.room.streams[TOPIC_CHAT](Letter("My name is Ada."), CALLER)
        said = await scene.until_said(3)
        assert said[1] == ("user", "My name is Ada.")
        assert "Ada" in said[2][1]
        session = await scene.session()
        assert session.state is State.READY
        assert session.caller is CallerPresence.PRESENT
        steps = session.steps
        assert steps["connected"] <= steps["published"] <= steps["ready"] <= steps["first_audio"]
        await until(lambda: scene.states.count("listening") >= 2, "the page is told")
        assert scene.states[:4] == ["initializing", "listening", "speaking", "listening"]
        assert scene.context.shutdowns == []


async def test_the_greeting_waits_until_the_caller_can_hear_it() -> None:
    async with a_call() as scene:
        scene.caller_comes(can_hear=False)
        await until(lambda: "listening" in scene.states, "the pipeline runs", seconds=20)
        await scene.until_kept("the caller is not seen", lambda session: session.caller is CallerPresence.PRESENT)
        assert "first_audio" not in (await scene.session()).steps
        scene.room.local_participant.publication.heard.set()
        assert await scene.until_said(1) == [("agent", GREETING)]


async def test_an_agent_without_a_caller_is_ready_and_silent() -> None:
    async with a_call() as scene:
        scene.room.local_participant.publication.heard.set()
        await scene.until_ready()
        await until(lambda: "listening" in scene.states, "the pipeline runs", seconds=20)
        assert "first_audio" not in (await scene.session()).steps


async def test_a_caller_who_never_comes_ends_the_call() -> None:
    async with a_call(patience=Patience(join=0.2, dropped=60, hung_up=60)) as scene:
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        await scene.close()
        session = await scene.session()
    assert (session.state, session.end_reason) == (State.ENDED, EndReason.NOT_JOINED)


async def test_a_caller_who_hangs_up_ends_the_call_after_the_grace() -> None:
    async with a_call(patience=Patience(join=60, dropped=60, hung_up=0.1)) as scene:
        caller = scene.caller_comes()
        await scene.until_said(1)
        scene.room.leave(caller, rtc.DisconnectReason.CLIENT_INITIATED)
        await scene.until_kept("it is not away", lambda session: session.caller is CallerPresence.AWAY)
        await until(lambda: scene.context.shutdowns, "the call ends")
        await scene.close()
        session = await scene.session()
    assert (session.state, session.end_reason) == (State.ENDED, EndReason.CALLER_LEFT)


async def test_a_caller_who_comes_back_in_time_goes_on_without_a_second_greeting() -> None:
    async with a_call() as scene:
        caller = scene.caller_comes()
        await scene.until_said(1)
        scene.room.leave(caller, rtc.DisconnectReason.CLIENT_INITIATED)
        await scene.until_kept("it is not away", lambda session: session.caller is CallerPresence.AWAY)
        scene.caller_comes("PA_2")
        await scene.until_kept("it is not back", lambda session: session.caller is CallerPresence.PRESENT)
        scene.room.streams[TOPIC_CHAT](Letter("My name is Ada."), CALLER)
        said = await scene.until_said(3)
        assert [speaker for speaker, _ in said] == ["agent", "user", "agent"]
        assert scene.context.shutdowns == []


async def test_a_call_that_lasts_too_long_is_ended() -> None:
    async with a_call(patience=Patience(join=60, dropped=60, hung_up=60, whole=0.3)) as scene:
        scene.caller_comes()
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        await scene.close()
        session = await scene.session()
    assert session.end_reason is EndReason.MAX_DURATION


@pytest.mark.faults
async def test_a_caller_who_is_there_and_silent_is_asked_once_and_then_left() -> None:
    async with a_call(patience=Patience(join=60, dropped=60, hung_up=60, ask=0.5, silent=4)) as scene:
        scene.caller_comes()
        said = await scene.until_said(2)
        assert said == [("agent", GREETING), ("agent", "Are you still there?")]
        await scene.store.touch("session_a")  # a page that polls is no sign of the caller
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        await scene.close()
        assert len(await scene.until_said(2)) == 2
        session = await scene.session()
    assert (session.state, session.end_reason) == (State.ENDED, EndReason.IDLE)


@pytest.mark.parametrize("error", [rtc.ConnectError("no route"), PublishTrackError("refused")])
async def test_a_room_that_cannot_be_had_ends_the_call(error: Exception) -> None:
    async with a_call(context=Context(error)) as scene:
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        await scene.close()
        session = await scene.session()
    assert (session.state, session.error) == (State.ERROR, ErrorReason.CONNECT_FAILED)


@pytest.mark.faults
async def test_an_agent_that_this_worker_does_not_have_ends_the_call() -> None:
    async with a_call(agent="nurse") as scene:
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        await scene.close()
        session = await scene.session()
    assert (session.state, session.error) == (State.ERROR, ErrorReason.PROVIDER_FAILED)


@pytest.mark.faults
async def test_a_config_that_the_agent_does_not_allow_ends_the_call() -> None:
    async with a_call(config={"tools": "all"}) as scene:
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        await scene.close()
        session = await scene.session()
    assert session.error is ErrorReason.BAD_CONFIG


async def test_a_sessions_own_greeting_is_said() -> None:
    async with a_call(config={"greeting": "Ahoy."}) as scene:
        scene.caller_comes()
        assert await scene.until_said(1) == [("agent", "Ahoy.")]


@pytest.mark.faults
async def test_a_brain_that_fails_is_apologised_for_before_the_end() -> None:
    async with a_call(agent="broken") as scene:
        scene.caller_comes()
        await scene.until_said(1)
        before = time.monotonic()
        for _ in range(2):
            scene.room.streams[TOPIC_CHAT](Letter("Are you there?"), CALLER)
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        assert time.monotonic() - before > 0.3, "the apology of 0.5 s was not played"
        await scene.close()
        session = await scene.session()
        logs = [entry["event"] for entry in await scene.store.logs("session_a", limit=50)]
    assert (session.state, session.error) == (State.ERROR, ErrorReason.PROVIDER_FAILED)
    assert "provider_failed" in logs


async def test_a_session_that_was_stopped_keeps_its_reason() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        await update(scene.store, "session_a", lambda session, now: ended(session, EndReason.STOPPED, now))
        scene.room.tell("disconnected", rtc.DisconnectReason.ROOM_DELETED)
        await scene.close()
        assert (await scene.session()).end_reason is EndReason.STOPPED


async def test_the_first_reason_for_an_end_counts() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.call.end(EndReason.FINISHED)
        scene.call.end(ErrorReason.LOST)
        await scene.close()
        assert (await scene.session()).end_reason is EndReason.FINISHED
        assert scene.context.shutdowns == ["finished"]
        assert SUCCESSOR not in scene.states


@pytest.mark.parametrize("outcome", [EndReason.FINISHED, None], ids=["it ends", "it is handed over"])
async def test_a_calls_end_is_written_in_time_by_a_store_that_answers_as_late_as_it_may(
    outcome: EndReason | None,
) -> None:
    async with a_call() as scene:
        scene.caller_comes()
        await until(lambda: scene.states.count("speaking") == 1, "it speaks", seconds=20)
        scene.store.takes = STORE_SOCKET_SECONDS - 0.02  # for the loop, which has other things to do
        if outcome is not None:
            scene.call.end(outcome)
        began = time.monotonic()
        await scene.close()
        took = time.monotonic() - began
        session = await scene.session()
    assert session.end_reason is outcome
    assert session.state is (State.RECOVERING if outcome is None else State.ENDED)
    assert took < CALL_END_SECONDS + 0.1
