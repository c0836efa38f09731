"""A call that runs, with the real conversation and a real track, in a room without a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pipeline.agents.definition import Agent
from pipeline.providers import Provider
from pipeline.settings import PipelineSettings
from pipeline.talk.audio_ends import OUT_RATE
from pipeline.talk.build import Analyzers, make_analyzers
from session.errors import StoreUnavailable
from session.record import Session, State
from session.store.ports import Utterance
from session.timing import STORE_CALL_SECONDS
from tests.session.making import NOON, a_session
from tests.session.memory_store import MemoryStore
from tests.worker.jobs import a_job
from tests.worker.rooms import FakeRoom, Participant, Publication
from worker.call.call import RoomCall
from worker.call.caller_patience import Patience
from worker.call.waterfall import Waterfall

CALLER = "caller-session_a"
GREETING = "Good day."
LONG = " ".join(f"This is sentence number {number} of a long greeting." for number in range(1, 9))
SETTINGS = PipelineSettings(_env_file=None, turn="silence", openai_base_url="http://127.0.0.1:9/v1")
AGENTS = {
    "default": Agent(name="default", prompt="Be kind.", greeting=GREETING, overridable=("greeting", "voice")),
    "broken": Agent(
        name="broken", prompt="Be kind.", greeting=GREETING, llm=Provider("openai-compatible", {"model": "none"})
    ),
}
ANALYZERS = make_analyzers(SETTINGS)
PATIENT = Patience(join=60, dropped=60, hung_up=60)


class Loaded:
    """What the forkserver loaded."""

    agents: Mapping[str, Agent] = AGENTS
    settings: PipelineSettings = SETTINGS
    analyzers: Analyzers = ANALYZERS
    apology: bytes = b"\7\0" * (OUT_RATE // 2)
    moment: bytes = b"\5\0" * (OUT_RATE // 2)


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
    """Counts signs of life. While it `hangs` an answer never comes in time; while it is `away` it says so at once.

    `takes`: seconds for each answer.
    """

    def __init__(self) -> None:
        super().__init__(lambda: NOON)
        self.signs = 0
        self.hangs = self.away = False
        self.takes = 0.0
        self.breaks: Exception | None = None  # raised by the next line of the log
        self.breaks_alive: Exception | None = None  # and by the next sign of life

    async def alive(self, session_id: str, *, attempt: int, job: str) -> None:
        self.signs += 1
        if self.breaks_alive is not None:
            error, self.breaks_alive = self.breaks_alive, None
            raise error
        await self._answers()
        await super().alive(session_id, attempt=attempt, job=job)

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        await self._answers()
        return await super().get_with_time(session_id)

    async def write(self, session: Session, *, op: str, max_seats: int | None = None) -> Session:
        await self._answers()
        return await super().write(session, op=op, max_seats=max_seats)

    async def say(self, session_id: str, utterance: Utterance, *, attempt: int, job: str) -> None:
        await self._answers()
        await super().say(session_id, utterance, attempt=attempt, job=job)

    async def keep_checkpoint(self, session_id: str, text: str, *, attempt: int, job: str) -> None:
        await self._answers()
        await super().keep_checkpoint(session_id, text, attempt=attempt, job=job)

    async def log(self, session_id: str, event: str, *, level: str = "info", **facts: Any) -> None:
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise error
        await super().log(session_id, event, level=level, **facts)

    async def gone(self, worker_id: str) -> None:
        await self._answers()
        await super().gone(worker_id)

    async def _answers(self) -> None:
        if self.takes:
            await asyncio.sleep(self.takes)
        if self.hangs:
            await asyncio.sleep(STORE_CALL_SECONDS)
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
        self.call = RoomCall(room, kept, session, loaded, patience, Waterfall(zero=time.monotonic()))
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
        return [(each.speaker, each.text) for each in (await self.store.transcript("session_a")).items]

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
