"""A call from its claim to its end: the real conversation and a real track, in a room without a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit import rtc
from livekit.agents.types import TOPIC_CHAT
from livekit.rtc.participant import PublishTrackError

from pipeline import providers
from pipeline.agents import Agent, Provider
from pipeline.build import Analyzers, make_analyzers
from pipeline.settings import PipelineSettings
from pipeline.speaker import OUT_RATE
from session.errors import StoreUnavailable
from session.memory_store import MemoryStore
from session.model import Caller, EndReason, ErrorReason, Session, State, dispatched, ended
from session.redis_store import CALL_SECONDS
from session.store import SILENT_SECONDS, update
from tests.pipeline.stage import until
from tests.session.making import NOON, a_session, a_worker
from tests.worker.jobs import a_job
from tests.worker.rooms import FakeRoom, Letter, Participant, Publication
from worker.call import Call
from worker.presence import Patience
from worker.waterfall import Waterfall

pytestmark = pytest.mark.anyio

CALLER = "caller-session_a"
GREETING = "Good day."
LONG = " ".join(f"This is sentence number {number} of a long greeting." for number in range(1, 9))
SETTINGS = PipelineSettings(_env_file=None, turn="silence", openai_base_url="http://127.0.0.1:9/v1")
AGENTS = {
    "default": Agent(name="default", prompt="Be kind.", greeting=GREETING),
    "broken": Agent(
        name="broken", prompt="Be kind.", greeting=GREETING, llm=Provider("openai-compatible", {"model": "none"})
    ),
}
ANALYZERS = make_analyzers(SETTINGS)
PATIENT = Patience(join=60, dropped=60, hung_up=60)


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Load the models, as the forkserver does: a first sentence would come too late on a busy machine."""
    agent = AGENTS["default"].resolve(SETTINGS)
    providers.preload("stt", agent.stt)
    providers.preload("tts", agent.tts, [agent.greeting])


class Loaded:
    """What the forkserver loaded."""

    agents: Mapping[str, Agent] = AGENTS
    settings: PipelineSettings = SETTINGS
    analyzers: Analyzers = ANALYZERS
    apology: bytes = b"\7\0" * (OUT_RATE // 2)


class Context:
    """LiveKit's job, with a room that is connected when `connect` returns; `fails` is raised instead."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.job = a_job()
        self.room = FakeRoom()
        self.shutdowns: list[str] = []
        self.reachable = asyncio.Event()
        self.reachable.set()
        self._fails = fails

    async def connect(self, **options: Any) -> None:
        await self.reachable.wait()
        if self._fails is not None:
            raise self._fails

    def shutdown(self, reason: str = "") -> None:
        self.shutdowns.append(reason)


class Store(MemoryStore):
    """Counts signs of life. While it `hangs` an answer never comes in time; while it is `away` it says so at once."""

    def __init__(self) -> None:
        super().__init__(lambda: NOON)
        self.signs = 0
        self.hangs = self.away = False

    async def alive(self, session_id: str, *, attempt: int, job: str) -> None:
        self.signs += 1
        await self._answers()
        await super().alive(session_id, attempt=attempt, job=job)

    async def look(self, session_id: str) -> tuple[Session, float]:
        await self._answers()
        return await super().look(session_id)

    async def gone(self, worker_id: str) -> None:
        await self._answers()
        await super().gone(worker_id)

    async def _answers(self) -> None:
        if self.hangs:
            await asyncio.sleep(CALL_SECONDS)
        if self.hangs or self.away:
            raise StoreUnavailable


class Scene:
    """A call that runs."""

    def __init__(self, context: Context, store: Store, session: Session, patience: Patience) -> None:
        self.context, self.store = context, store
        self._closed = False
        room: Any = context
        loaded: Any = Loaded()
        kept: Any = store
        self.call = Call(room, kept, session, loaded, patience, Waterfall(zero=time.monotonic()))
        self.running = asyncio.create_task(self.call.run(), name="call")

    async def close(self) -> None:
        """What LiveKit's machinery does at the end of a job, once."""
        if not self._closed:
            self._closed = True
            await self.call.close()

    @property
    def room(self) -> FakeRoom:
        return self.context.room

    @property
    def states(self) -> list[str]:
        return self.room.local_participant.states

    async def session(self) -> Session:
        return await self.store.get("session_a")

    async def said(self) -> list[tuple[str, str]]:
        return [(each.speaker, each.text) for each in await self.store.transcript("session_a")]

    async def until_kept(self, what: str, holds: Any) -> Session:
        deadline = time.monotonic() + 20
        while not holds(await self.session()):
            assert time.monotonic() < deadline, what
            await asyncio.sleep(0.01)
        return await self.session()

    async def until_ready(self) -> None:
        await self.until_kept("it is not ready", lambda session: session.state is State.READY)

    async def until_said(self, count: int) -> list[tuple[str, str]]:
        deadline = time.monotonic() + 20
        while len(await self.said()) < count:
            assert time.monotonic() < deadline, f"{count} turns are not said"
            await asyncio.sleep(0.01)
        return await self.said()

    def caller_comes(self, sid: str = "PA_1", *, can_hear: bool = True) -> Participant:
        caller = Participant(CALLER, sid)
        caller.track_publications["TR_1"] = Publication()
        self.room.join(caller)
        if can_hear:
            self.room.local_participant.publication.heard.set()
        return caller


@asynccontextmanager
async def a_call(
    *, patience: Patience = PATIENT, context: Context | None = None, **session: Any
) -> AsyncIterator[Scene]:
    store = Store()
    record = a_session(job="job_a", worker="worker_a", **session)
    await store.start(record, max_seats=5, op="start")
    scene = Scene(context or Context(), store, record, patience)
    try:
        yield scene
    finally:
        await scene.close()
        scene.running.cancel()
        await asyncio.gather(scene.running, return_exceptions=True)


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
        assert session.caller is Caller.PRESENT
        steps = session.steps
        assert steps["connected"] <= steps["published"] <= steps["ready"] <= steps["first_audio"]
        await until(lambda: scene.states.count("listening") >= 2, "the page is told")
        assert scene.states[:4] == ["initializing", "listening", "speaking", "listening"]
        assert scene.context.shutdowns == []


async def test_the_greeting_waits_until_the_caller_can_hear_it() -> None:
    async with a_call() as scene:
        scene.caller_comes(can_hear=False)
        await until(lambda: "listening" in scene.states, "the pipeline runs", seconds=20)
        await scene.until_kept("the caller is not seen", lambda session: session.caller is Caller.PRESENT)
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
        await scene.until_kept("it is not away", lambda session: session.caller is Caller.AWAY)
        await until(lambda: scene.context.shutdowns, "the call ends")
        await scene.close()
        session = await scene.session()
    assert (session.state, session.end_reason) == (State.ENDED, EndReason.CALLER_LEFT)


async def test_a_caller_who_comes_back_in_time_goes_on_without_a_second_greeting() -> None:
    async with a_call() as scene:
        caller = scene.caller_comes()
        await scene.until_said(1)
        scene.room.leave(caller, rtc.DisconnectReason.CLIENT_INITIATED)
        await scene.until_kept("it is not away", lambda session: session.caller is Caller.AWAY)
        scene.caller_comes("PA_2")
        await scene.until_kept("it is not back", lambda session: session.caller is Caller.PRESENT)
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


@pytest.mark.parametrize("error", [rtc.ConnectError("no route"), PublishTrackError("refused")])
async def test_a_room_that_cannot_be_had_ends_the_call(error: Exception) -> None:
    async with a_call(context=Context(error)) as scene:
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        await scene.close()
        session = await scene.session()
    assert (session.state, session.error) == (State.ERROR, ErrorReason.CONNECT_FAILED)


async def test_an_agent_that_this_worker_does_not_have_ends_the_call() -> None:
    async with a_call(agent="nurse") as scene:
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        await scene.close()
        session = await scene.session()
    assert (session.state, session.error) == (State.ERROR, ErrorReason.PROVIDER_FAILED)


async def test_a_config_that_the_agent_does_not_allow_ends_the_call() -> None:
    async with a_call(config={"tools": "all"}) as scene:
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        await scene.close()
        session = await scene.session()
    assert session.error is ErrorReason.PROVIDER_FAILED


async def test_a_sessions_own_greeting_is_said() -> None:
    async with a_call(config={"greeting": "Ahoy."}) as scene:
        scene.caller_comes()
        assert await scene.until_said(1) == [("agent", "Ahoy.")]


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
    assert (session.state, session.job, session.worker) == (State.RECOVERING, None, None)
    assert (session.deadline, session.recoveries) == (NOON, 1)
    assert session.caller is Caller.PRESENT


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
        assert (session.state, session.job, session.deadline) == (State.RECOVERING, None, NOON)
        assert await scene.store.workers(seen_within=SILENT_SECONDS - 0.1) == []
        assert scene.room.left


async def test_a_call_whose_worker_died_while_it_ended_is_not_begun_again() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.call.end(EndReason.FINISHED)
        await scene.call.abandon()
        assert (await scene.session()).end_reason is EndReason.FINISHED


async def test_an_agent_whose_worker_died_leaves_within_a_second_though_the_store_is_away() -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.store.hangs = True
        before = time.monotonic()
        await scene.call.abandon()
        assert time.monotonic() - before < 1
        assert scene.room.left
        scene.store.hangs = False


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
