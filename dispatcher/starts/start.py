"""Starts, tokens and stops of sessions: takes the seat, makes the room with its dispatch, waits; the routes call it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from dispatcher.attempts.executor import NoTimers, Timers
from dispatcher.ending import Ending
from dispatcher.errors import LiveKitUnavailable, NotJoinable, NotTheirs
from dispatcher.fleet.workers import serving, taking
from dispatcher.livekit.port import Rooms
from dispatcher.observe.session_log import log_event
from dispatcher.starts.admission import Admitted, admit
from dispatcher.starts.idempotency import IdempotentStart
from dispatcher.starts.news import News
from dispatcher.starts.permit import Permit
from session.errors import (
    NoCapacity,
    NoWorker,
    SessionError,
    SessionNotFound,
    StoreUnavailable,
    UnreadableRecord,
)
from session.record import (
    FINAL,
    JOINABLE,
    LOCAL,
    EndReason,
    ErrorReason,
    Session,
    State,
    new_session_id,
    reused_by_user,
)
from session.store.ports import WORKER_SECONDS, StartResult, Store, Worker, update

POLL_SECONDS = 0.5  # between two looks at a record that is waited for, where no event wakes the answer
ROOM_POLL_SECONDS = 0.02  # the same where no event tells: a room is made in 3 ms
ROOM_SECONDS = 1.0  # for which a repeated start waits for the first one's room; it takes 3 ms
RTVI = "2.0.0"  # what a page speaks that has not told its version yet: the oldest that is no other protocol
WARM_WAIT_MS = 500  # for which an answer waits by itself for a warm agent, which needs about 420


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """What a caller asks for; fields as on the session's record.

    Attributes:
        rtvi: whether the page speaks RTVI and may say so before anybody hears it.
        proven: the id of the session whose secret or token the caller shows; None: it shows none.
        max_owned: how many live sessions the owner may have with this one; None: any number.
    """

    user_id: str | None = None
    user_name: str | None = None
    agent: str = "default"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    rtvi: bool = False
    owner: str = LOCAL
    proven: str | None = None
    max_owned: int | None = None


@dataclass(frozen=True, slots=True)
class StartedSession:
    """A session, and a token to join it with.

    Attributes:
        token: "" for one that was over when its request was repeated.
        task: the id of the operation that started it.
        repeated: whether the same request had begun it before.
        position: its place in the queue, from 1; None once it is not in it.
        slots: of all the workers that serve its agent.
    """

    session: Session
    reused: bool
    token: str
    task: str
    repeated: bool = False
    position: int | None = None
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Starts:
    """Starts, tokens and stops.

    Args:
        store: sessions and workers.
        rooms: LiveKit.
        ending: ends sessions.
        news: wakes the answers that wait.
        max_seats: MAX_BOTS.
        claim_seconds: how long a worker may take to accept.
        queue_seconds: how long a start may wait for a slot.
        timers: who looks after a start whose deadline passes.
        clock: seconds, monotonic; for the waterfall and for waiting.
    """

    store: Store
    rooms: Rooms
    ending: Ending
    news: News
    max_seats: int
    claim_seconds: float = 2.0
    queue_seconds: float = 30.0
    timers: Timers = field(default_factory=NoTimers)
    clock: Callable[[], float] = time.monotonic

    async def start(
        self,
        wish: StartRequest,
        *,
        wait_ms: int | None,
        permit: Permit | None = None,
        once: IdempotentStart | None = None,
    ) -> StartedSession:
        """Give the user's live session back, or begin one: its agent is dispatched when this returns.

        Args:
            wish: what is asked for.
            wait_ms: milliseconds to wait for `ready`; None: WARM_WAIT_MS where a warm process is idle, else none.
            permit: to begin a new session; given back as soon as it is known that none begins.
            once: what makes it the same start as an earlier one, whose session is then given back as it is.

        Raises:
            TooManySessions: the owner has as many as it may have.
            RateLimited, StartsFailing: by the permit, where there is no session to give back.
            OperationReused: it is the same start and asks for something else.
            NoWorker, NoCapacity, UnknownAgent, ConfigNotAllowed, ProviderNotUsable, BadConfig: see `admit`.
            LiveKitUnavailable: no room could be made; the seat is free again.
            StoreUnavailable: the store is away, and nothing has begun.
        """
        received = self.clock()
        now, workers, waiting = await asyncio.gather(
            self.store.now(), self.store.workers(seen_within=WORKER_SECONDS), self.store.queue()
        )
        session = replace(_new(wish, now), steps={"request": 0.0})
        once = once or IdempotentStart(_task(session))
        done = await self._proven(wish, session, once)
        if done is None:
            most = wish.max_owned
            done = await self._begin(session, workers, waiting=len(waiting), permit=permit, once=once, max_owned=most)
        if done.session.id == session.id:
            begun = StartedSession(
                await self._open(done.session, received), reused=False, token="", task=_task(session)
            )
        else:
            if permit is not None:
                await permit.give_back()
            begun = await self._again(done.session, repeated=not done.reused)
        if begun.session.state is State.QUEUED:
            begun = await self._with_position(begun, workers, now)
        over = begun.repeated and begun.session.state in FINAL
        token = "" if over else self.rooms.token(begun.session, name=wish.user_name)
        wait = wait_ms if wait_ms is not None else WARM_WAIT_MS if begun.session.prewarmed else 0
        session = await self._wait(begun.session, lambda each: each.state is not State.STARTING, wait / 1000)
        return replace(begun, session=session, token=token)

    async def _proven(self, wish: StartRequest, new: Session, once: IdempotentStart) -> StartResult | None:
        """The user's live session whose secret or token was shown, unless the same request began one before it."""
        if wish.proven is None or wish.user_id is None:
            return None
        if once.fingerprint:
            with suppress(NoCapacity):
                return await self._reuse(new, NoCapacity(), once)
        with suppress(SessionNotFound, UnreadableRecord):
            session = await self.store.get(wish.proven)
            if session.user_id == wish.user_id and session.state in JOINABLE:
                await self.store.touch(session.id)
                return StartResult(session, reused=True)
        return None

    async def _begin(
        self,
        session: Session,
        workers: Sequence[Worker],
        *,
        waiting: int,
        permit: Permit | None,
        once: IdempotentStart,
        max_owned: int | None,
    ) -> StartResult:
        """A new session where workers and permit let one begin; else one that has begun, or the refusal."""
        try:
            admitted = admit(workers, session.created_at, agent=session.agent, config=session.config)
        except NoWorker as refusal:
            return await self._reuse(session, refusal, once)
        if permit is not None:
            refused = await permit.take(session.id, agent=session.agent, deployment=admitted.deployment)
            if refused is not None:
                return await self._reuse(session, refused, once)
        return await self._admit(session, admitted, waiting=waiting, once=once, max_owned=max_owned)

    async def _admit(
        self, session: Session, admitted: Admitted, *, waiting: int, once: IdempotentStart, max_owned: int | None
    ) -> StartResult:
        """Take a seat for the session, or a place in the queue; or give back the user's own. Raises NoCapacity."""
        if admitted.free and not waiting:
            first = replace(
                session,
                state=State.STARTING,
                attempt=1,
                tries=1,
                prewarmed=admitted.prewarmed,
                deployment=admitted.deployment,
                progress_at=session.created_at,
                deadline=session.created_at + self.claim_seconds,
            )
            with suppress(NoCapacity):
                seats = min(self.max_seats, admitted.seats)
                return await self.store.start(
                    first, max_seats=seats, op=once.op, fingerprint=once.fingerprint, max_owned=max_owned
                )
        if await self.store.seats() >= self.max_seats or waiting >= self.max_seats:
            return await self._reuse(session, NoCapacity(), once)
        queued = replace(session, deadline=session.created_at + self.queue_seconds)
        return await self.store.start(
            queued, max_seats=self.max_seats, op=once.op, fingerprint=once.fingerprint, max_owned=max_owned
        )

    async def _reuse(self, session: Session, refusal: SessionError, once: IdempotentStart) -> StartResult:
        """The user's live session or that of the same request, if there is one; else the refusal.

        Where an address alone asks, only a key of its own request can find one: nothing is looked for without it.
        """
        if not once.fingerprint and not (session.user_id and reused_by_user(session.owner)):
            raise refusal
        seatless = replace(session, state=State.STARTING)
        try:
            # Without a seat to take the store can only give a session back.
            return await self.store.start(seatless, max_seats=0, op=once.op, fingerprint=once.fingerprint)
        except NoCapacity:
            raise refusal from None

    async def _with_position(self, begun: StartedSession, workers: Sequence[Worker], now: float) -> StartedSession:
        queue: list[str] = []
        with suppress(StoreUnavailable):  # the session has begun, and its caller must hear of it
            queue = list(await self.store.queue())
        position = queue.index(begun.session.id) + 1 if begun.session.id in queue else None
        slots = sum(each.slots for each in serving(taking(workers, now), begun.session.agent))
        return replace(begun, position=position, slots=slots)

    async def token(self, session_id: str, *, user_id: str | None, name: str | None) -> tuple[Session, str]:
        """Another token for a session that can be joined, and the session.

        Raises:
            SessionNotFound, NotTheirs, NotJoinable, StoreUnavailable.
        """
        session = await self.store.get(session_id)
        if user_id is not None and user_id != session.user_id:
            raise NotTheirs
        if session.state not in JOINABLE:
            raise NotJoinable(_not_joinable(session))
        await self.store.touch(session_id)
        return session, self.rooms.token(session, name=name if name is not None else session.user_name)

    async def stop(self, session_id: str) -> Session:
        """End the session and close its room; one that is over stays as it is.

        LiveKit may be away: the end is written first, and upkeep/slow_loop.py closes rooms that stayed.

        Raises:
            SessionNotFound, StoreUnavailable.
        """
        return await self.ending.end(session_id, lambda *_: EndReason.STOPPED, by="api")

    async def _open(self, session: Session, received: float) -> Session:
        """The session with its room made and, unless it is queued, its agent dispatched."""
        try:
            await self.rooms.create(session, with_agent=session.state is State.STARTING)
        except LiveKitUnavailable:
            with suppress(StoreUnavailable):  # then its deadline passes, and it is tried again
                await self.ending.end(session.id, lambda *_: ErrorReason.SERVER_LOST, by="start")
            raise
        took = round((self.clock() - received) * 1000, 1)
        self.timers.at(session, self.claim_seconds)
        await log_event(
            self.store, session.id, str(session.state), agent=session.agent, prewarmed=session.prewarmed, room_ms=took
        )
        with suppress(SessionError):  # a step of the waterfall is not worth a call
            return await update(self.store, session.id, lambda each, _: _with_room(each, took))
        return session

    async def _again(self, session: Session, *, repeated: bool) -> StartedSession:
        """A session that had begun, once its room exists: a token used before would make one without an agent."""
        room_there = session.room_made or session.state not in (State.STARTING, State.QUEUED)
        if not room_there:
            session = await self._wait(session, lambda each: each.room_made, ROOM_SECONDS, poll=ROOM_POLL_SECONDS)
        await log_event(self.store, session.id, "repeated" if repeated else "reused")
        return StartedSession(session, reused=not repeated, token="", task=_task(session), repeated=repeated)

    async def _wait(
        self, session: Session, met: Callable[[Session], bool], seconds: float, *, poll: float = POLL_SECONDS
    ) -> Session:
        """The session as it is once `met`, or over, or after `seconds`; an event wakes this, `poll` is the backstop.

        While the store is away it is what was known of it before.
        """
        until = self.clock() + seconds
        with self.news.of(session.id) as happened:
            happened.set()  # look once at first: what happened before is told to nobody
            while not met(session) and session.state not in FINAL and (left := until - self.clock()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(poll, left)):
                        await happened.wait()
                happened.clear()
                with suppress(SessionNotFound, UnreadableRecord, StoreUnavailable):
                    session = await self.store.get(session.id)
        return session


def _task(session: Session) -> str:
    return f"start-{session.id}"


def _new(wish: StartRequest, now: float) -> Session:
    """A session that waits for a slot, and has never been dispatched."""
    session_id = new_session_id()
    return Session(
        id=session_id,
        room=session_id,
        state=State.QUEUED,
        created_at=now,
        since=now,
        last_active=now,
        agent=wish.agent,
        owner=wish.owner,
        user_id=wish.user_id,
        user_name=wish.user_name,
        metadata=wish.metadata,
        config=wish.config,
        rtvi=RTVI if wish.rtvi else "",
    )


def _not_joinable(session: Session) -> str:
    how = {State.ENDED: "has ended", State.ERROR: "has failed"}.get(session.state, f"is {session.state}")
    why = session.error or session.end_reason
    return f"The session {how}{f' ({why})' if why else ''}; start a new one."


def _with_room(session: Session, ms: float) -> Session:
    """The session whose room was made `ms` milliseconds after its request."""
    return session if session.state in FINAL else replace(session, room_made=True, steps={**session.steps, "room": ms})
