"""Everything around the store in one process: rooms that fail, jobs that come late or twice; knows no hypothesis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import CollectorRegistry

from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.ending import Ending, over
from dispatcher.errors import LiveKitUnavailable
from dispatcher.livekit.port import OpenRoom, ParticipantDetails
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.circuit import StartCircuit
from dispatcher.starts.news import News
from dispatcher.starts.queue import StartQueue
from dispatcher.starts.reservations import Reservations
from dispatcher.starts.start import StartRequest, Starts
from dispatcher.upkeep.expiry import verdict
from dispatcher.upkeep.webhooks import with_caller
from session.errors import SessionError, SessionNotFound, Stale, StoreUnavailable
from session.record import (
    FINAL,
    SEATED,
    CallerPresence,
    EndReason,
    Session,
    State,
    accepted,
    became_ready,
    claimed,
    ended,
    lost,
)
from session.settings import CallLimits
from session.store.ports import Worker, update
from tests.dispatcher.fakes import FakeRooms

MAX_SEATS = 3
SLOTS = 2


Step = Callable[[], Awaitable[None]]


class Crash(StoreUnavailable):
    """The store's reply is lost, or the process dies, between two steps."""


class Flaky:
    """A store whose next call but `after` fails, before it does anything or after it has done all.

    `meanwhile` happens once, between what somebody reads and the write that follows.
    """

    def __init__(self, store: Any) -> None:
        self.store = store
        self.after: int | None = None
        self.meanwhile: Step | None = None
        self.done_first = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if not asyncio.iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            if name == "write" and self.meanwhile is not None:
                meanwhile, self.meanwhile = self.meanwhile, None
                await meanwhile()
            fails = self.after == 0
            self.after = None if self.after in (None, 0) else self.after - 1
            if fails and not self.done_first:
                raise Crash
            answer = await method(*args, **kwargs)
            if fails:
                raise Crash
            return answer

        return call


@dataclass
class Dispatches(FakeRooms):
    """Rooms that keep every dispatch that was ever asked for."""

    asked: list[tuple[str, int]] = field(default_factory=list)

    async def create(self, session: Session, *, with_agent: bool = True) -> None:
        await super().create(session, with_agent=with_agent)
        if with_agent:
            self.asked.append((session.id, session.attempt))

    async def dispatch(self, session: Session) -> None:
        await super().dispatch(session)
        self.asked.append((session.id, session.attempt))

    def joined(self, room: str) -> OpenRoom:
        self.asked.append((room, 1))
        return super().joined(room)


@dataclass
class Job:
    """An agent's process: what it has been told so far."""

    id: str
    session: str
    attempt: int
    claimed: bool = False
    refused: bool = False


class World:
    """A dispatcher and any number of jobs over one store.

    Args:
        store: real or in memory.
        advance: moves the store's clock, where it can be moved.
        attempts: the class under test; a broken one, to see that it is found.
    """

    def __init__(
        self, store: Any, advance: Callable[[float], None], attempts: type[AttemptExecutor] = AttemptExecutor
    ) -> None:
        self.raw = store
        self.store = Flaky(store)
        self.advance = advance
        self.rooms = Dispatches()
        metrics = Metrics(CollectorRegistry())
        flaky: Any = self.store
        ending, circuit = Ending(flaky, self.rooms), StartCircuit(flaky)
        self.attempts = attempts(flaky, self.rooms, metrics, circuit, ending, MAX_SEATS, chance=lambda: 0.5)
        self.others = attempts(flaky, self.rooms, metrics, circuit, ending, MAX_SEATS, chance=lambda: 0.5)
        self.dispatch = Starts(flaky, self.rooms, ending, News(flaky), MAX_SEATS)
        self.reservations = Reservations(flaky, self.rooms, ending, MAX_SEATS)
        self.line = StartQueue(flaky, self.attempts, MAX_SEATS)
        self.limits = CallLimits(_env_file=None)  # type: ignore[call-arg]
        self.jobs: list[Job] = []
        self.ids: list[str] = []
        self.seen: dict[str, Session] = {}
        self.ends: dict[str, Session] = {}
        self.claims: dict[tuple[str, int], set[str]] = {}
        self.attempt_seen: dict[str, int] = {}

    async def worker(self, *, slots: int, alive: bool) -> None:
        """A heartbeat; without one for long enough there is no worker."""
        if alive:
            beat = Worker(
                id="worker_a", host="here", started_at=0, slots=slots, target=2, idle=1, starting=0, active=0,
                agents={"default": ()}, reads_reservations=True,
            )  # fmt: skip
            await self.raw.beat(beat)
        else:
            await self.raw.gone("worker_a")

    async def start(self, user: str | None) -> None:
        self.advance(0.001)  # no two are equally old: their order is theirs by age
        with suppress(SessionError):
            await self.dispatch.start(StartRequest(user_id=user), wait_ms=0)

    async def reserve(self) -> None:
        self.advance(0.001)
        with suppress(SessionError):
            await self.reservations.issue(StartRequest(), ParticipantDetails())

    async def use_token(self, room: str) -> None:
        """A caller joins with a reserved token, perhaps again; what follows from it may come later, or never."""
        self.rooms.joined(room)

    async def take_up(self, room: str) -> None:
        """A webhook or the sweep finds a room that a token has made."""
        with suppress(SessionError, LiveKitUnavailable):
            await self.reservations.take_up(room, await self.rooms.asked_for(room), by="sweep")

    async def find_sessions(self) -> None:
        """Every session there is, also those whose start crashed, in the order of their appearance: ids are random."""
        page = await self.raw.page(set(State), limit=1000)
        self.ids += [each.id for each in reversed(page.sessions) if each.id not in self.ids]

    async def deliver(self, session_id: str, attempt: int) -> None:
        """livekit-server hands a dispatch to a worker as a new job: late, twice, whatever; or never."""
        self.jobs.append(Job(f"job_{len(self.jobs)}", session_id, attempt))

    async def accept(self, job: Job) -> None:
        await self._as(job, lambda s, now: accepted(s, attempt=job.attempt, job=job.id, worker="worker_a", now=now))

    async def claim(self, job: Job) -> None:
        if await self._as(
            job,
            lambda s, now: claimed(s, attempt=job.attempt, job=job.id, worker="worker_a", now=now),
            max_seats=MAX_SEATS,
        ):
            job.claimed = True
            self.claims.setdefault((job.session, job.attempt), set()).add(job.id)

    async def ready(self, job: Job) -> None:
        await self._as(job, lambda s, now: became_ready(s, attempt=job.attempt, job=job.id, now=now, steps={}))

    async def finish(self, job: Job) -> None:
        await self._as(job, lambda s, now: ended(s.fenced(job.attempt, job.id), EndReason.FINISHED, now))

    async def lose(self, job: Job) -> None:
        await self._as(job, lambda s, now: lost(s, job=job.id, now=now))

    async def caller_joins(self, session_id: str) -> None:
        with suppress(SessionError):
            await update(self.raw, session_id, lambda s, now: with_caller(s, CallerPresence.PRESENT, now))

    async def stop(self, session_id: str) -> None:
        with suppress(SessionError):
            await self.dispatch.stop(session_id)

    async def handle_due(self, session_id: str) -> None:
        with suppress(SessionError):
            await self.attempts.handle_due(session_id)

    async def see_to_elsewhere(self, session_id: str) -> None:
        """What another dispatcher does."""
        with suppress(SessionError):
            await self.others.handle_due(session_id)

    async def advance_line(self) -> None:
        with suppress(SessionError):
            await self.line.advance()

    async def sweep(self, session_id: str) -> None:
        """What the sweep does for one session by its rules of expiry."""
        with suppress(SessionError, LiveKitUnavailable):
            await update(self.raw, session_id, self._expired)

    async def judge_silent(self, session_id: str) -> None:
        """The agent of a ready session said nothing for long, and its worker neither."""
        with suppress(SessionError):
            session = await self.raw.get(session_id)
            if session.state is State.READY and session.job is not None:
                await update(self.raw, session_id, lambda s, now: lost(s, job=session.job or "", now=now))

    def _expired(self, session: Session, now: float) -> Session:
        due = verdict(session, self.limits, now)
        return session if due is None else over(session, due.reason, now)

    async def _as(self, job: Job, change: Callable[[Session, float], Session], *, max_seats: int | None = None) -> bool:
        """A write of a job's; one that is refused is silent from then on."""
        if job.refused:
            return False
        try:
            await update(self.store, job.session, change, max_seats=max_seats)  # type: ignore[arg-type]
        except Stale:
            job.refused = True
            return False
        except SessionError:
            return False
        return True

    async def check(self) -> None:
        """What must hold after every step. Raises AssertionError."""
        sessions = await self._sessions()
        seated = [each for each in sessions if each.state in SEATED]
        assert await self.raw.seats() == len(seated), "a seat that nobody holds, or a session without its seat"
        assert len(seated) <= MAX_SEATS, "more sessions than seats"
        assert await self.raw.mend_seats() == 0
        for session in sessions:
            self._check_session(session)
        for key, jobs in self.claims.items():
            assert len(jobs) <= 1, f"{key} was claimed by {jobs}"

    async def _sessions(self) -> list[Session]:
        """All that are left; a token that nobody used is forgotten after a while, and nothing else is."""
        for session_id in tuple(self.ids):
            try:
                self.seen[session_id] = await self.raw.get(session_id)
            except SessionNotFound:
                gone = self.seen.pop(session_id)
                assert (gone.state, gone.deadline) == (State.RESERVED, None), f"{gone.state} was forgotten"
                self.ids.remove(session_id)
        return [self.seen[each] for each in self.ids]

    def _check_session(self, session: Session) -> None:
        current = [
            job
            for job in self.jobs
            if job.claimed and not job.refused and job.session == session.id and _passes(session, job)
        ]
        assert len(current) <= 1, "two agents pass the fence"
        assert session.attempt >= self.attempt_seen.get(session.id, 0), "an attempt went back"
        self.attempt_seen[session.id] = session.attempt
        if session.state in FINAL:
            before = self.ends.setdefault(session.id, replace(session, last_active=0.0))
            assert replace(session, last_active=0.0) == before, "a final state was changed"
            return
        if session.state is State.READY:
            assert session.job is not None, "ready without an agent: nobody's silence would be noticed"
        elif session.state is not State.RESERVED:
            assert session.deadline is not None, f"{session.state} without a deadline: nobody will look at it again"

    async def settle(self) -> None:
        """With no worker left and time going on, every session comes to an end by what reconcile does alone."""
        self.store.after = None
        self.rooms.away = False
        await self.worker(slots=0, alive=False)
        for _ in range(40):
            self.advance(31.0)
            for session_id in self.ids:
                await self.judge_silent(session_id)
                await self.handle_due(session_id)
                await self.sweep(session_id)
            await self.advance_line()
        left = [s for s in await self._sessions() if s.state not in FINAL]
        assert left == [], f"never ended: {[(s.state, s.deadline, s.caller) for s in left]}"
        assert await self.raw.seats() == 0


def _passes(session: Session, job: Job) -> bool:
    try:
        session.fenced(job.attempt, job.id)
    except Stale:
        return False
    return True
