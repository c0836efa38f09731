"""One start, one agent: seat, room with its dispatch, token; knows LiveKit and store by their ports, and no HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from dispatcher.admission import SILENT_SECONDS, admit
from dispatcher.errors import LiveKitUnavailable, NotJoinable, NotTheirs
from dispatcher.notes import note
from dispatcher.ports import FrontEnd, Rooms
from session.errors import Conflict, NoCapacity, NoWorker, SessionNotFound
from session.model import FINAL, JOINABLE, EndReason, ErrorReason, Session, State, ended, failed, new_session_id
from session.store import PoolStore, SessionStore, update

START_SECONDS = 30.0  # from the request to `ready`; ten starts at once on two cores take 3 s, twenty 7 s
POLL_SECONDS = 0.02  # between two looks at a record that is waited for
ROOM_SECONDS = 1.0  # for which a repeated start waits for the first one's room; it takes 3 ms
WARM_WAIT_MS = 500  # for which an answer waits by itself for a warm agent, which needs about 420


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a caller asks for; fields as on the session's record."""

    user_id: str | None = None
    user_name: str | None = None
    agent: str = "default"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that can be joined with this token. `task`: the id of the operation that started it."""

    session: Session
    reused: bool
    token: str
    task: str


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Starts, tokens and stops.

    Args:
        store: sessions.
        pool: the workers' heartbeats.
        rooms: LiveKit.
        max_seats: MAX_BOTS.
        clock: seconds, monotonic; for the waterfall and for waiting.
    """

    store: SessionStore
    pool: PoolStore
    rooms: Rooms
    max_seats: int
    clock: Callable[[], float] = time.monotonic

    async def start(self, wish: Wish, *, wait_ms: int | None) -> Begun:
        """Give the user's live session back, or begin one: its agent is dispatched when this returns.

        Args:
            wish: what is asked for.
            wait_ms: milliseconds to wait for `ready`; None: WARM_WAIT_MS where a warm process is idle, else none.

        Raises:
            NoWorker, NoCapacity, UnknownAgent, ConfigNotAllowed, ProviderNotUsable: see `admit`.
            LiveKitUnavailable: no room could be made; the seat is free again.
            StoreUnavailable: the store is away.
        """
        received = self.clock()
        now, workers = await asyncio.gather(self.store.now(), self.pool.workers(seen_within=SILENT_SECONDS))
        session = _new(wish, State.STARTING, now)
        session = replace(session, tries=1, deadline=now + START_SECONDS, steps={"request": 0.0})
        seats, refusal = self.max_seats, None
        try:
            prewarmed = admit(workers, agent=wish.agent, config=wish.config).prewarmed
        except (NoWorker, NoCapacity) as error:
            prewarmed, seats, refusal = False, 0, error  # without seats the store can only give a live session back
        task = f"start-{session.id}"
        try:
            done = await self.store.start(replace(session, prewarmed=prewarmed), max_seats=seats, op=task)
        except NoCapacity:
            raise refusal or NoCapacity from None
        if done.reused:
            begun = await self._again(done.session)
        else:
            begun = Begun(await self._open(done.session, received), reused=False, token="", task=task)
        token = self.rooms.token(begun.session, name=wish.user_name)
        wait = wait_ms if wait_ms is not None else WARM_WAIT_MS if begun.session.prewarmed else 0
        session = await self._wait(begun.session, lambda each: each.state is not State.STARTING, wait / 1000)
        return replace(begun, session=session, token=token)

    async def reserve(self, wish: Wish, front_end: FrontEnd) -> str:
        """A token that brings the agent when it is used; nothing is allocated before.

        Raises:
            As `start`, but never LiveKitUnavailable.
        """
        now, workers, seats = await asyncio.gather(
            self.store.now(), self.pool.workers(seen_within=SILENT_SECONDS), self.store.seats()
        )
        admit(workers, agent=wish.agent, config=wish.config)
        if seats >= self.max_seats:
            raise NoCapacity
        session = _new(wish, State.RESERVED, now)
        await self.store.start(session, max_seats=self.max_seats, op=f"reserve-{session.id}")
        await note(self.store, session.id, "reserved", agent=session.agent)
        return self.rooms.reserved_token(session, front_end)

    async def token(self, session_id: str, *, user_id: str | None, name: str | None) -> tuple[Session, str]:
        """Another token for a session that can be joined, and the session.

        Raises:
            SessionNotFound, NotTheirs, NotJoinable, StoreUnavailable.
        """
        session = await self.store.get(session_id)
        if user_id is not None and user_id != session.user_id:
            raise NotTheirs
        if session.state not in JOINABLE:
            raise NotJoinable(f"The session is {session.state} and cannot be joined; start a new one.")
        await self.store.touch(session_id)
        return session, self.rooms.token(session, name=name if name is not None else session.user_name)

    async def stop(self, session_id: str) -> Session:
        """End the session and close its room; one that is over stays as it is.

        LiveKit may be away: the end is written first, and the sweep (dispatcher/sweep.py) closes rooms that stayed.

        Raises:
            SessionNotFound, StoreUnavailable.
        """
        before = await self.store.get(session_id)
        session = await update(self.store, session_id, lambda each, now: ended(each, EndReason.STOPPED, now))
        if before.state not in FINAL:
            await note(self.store, session_id, "ended", reason=str(session.end_reason or session.error))
        with suppress(LiveKitUnavailable):
            await self.rooms.delete(session.room)
        return session

    async def _open(self, session: Session, received: float) -> Session:
        """The session with its room made and its agent dispatched."""
        try:
            await self.rooms.create(session)
        except LiveKitUnavailable:
            await update(self.store, session.id, lambda each, now: failed(each, ErrorReason.SERVER_LOST, now))
            await note(self.store, session.id, "start_failed", level="error", reason="livekit_unavailable")
            raise
        took = round((self.clock() - received) * 1000, 1)
        await note(self.store, session.id, "started", agent=session.agent, prewarmed=session.prewarmed, room_ms=took)
        with suppress(Conflict):  # a step of the waterfall is not worth a call
            return await update(self.store, session.id, lambda each, _: _with_step(each, "room", took))
        return session

    async def _again(self, session: Session) -> Begun:
        """The user's live session, once its room exists: a token used before would make one without an agent."""
        room_there = "room" in session.steps or session.state is not State.STARTING
        if not room_there:
            session = await self._wait(session, lambda each: "room" in each.steps, ROOM_SECONDS)
        await note(self.store, session.id, "reused")
        return Begun(session, reused=True, token="", task=f"start-{session.id}")

    async def _wait(self, session: Session, met: Callable[[Session], bool], seconds: float) -> Session:
        """The session as it is once `met`, or over, or after `seconds`."""
        until = self.clock() + seconds
        while not met(session) and session.state not in FINAL and self.clock() < until:
            await asyncio.sleep(POLL_SECONDS)
            with suppress(SessionNotFound):
                session = await self.store.get(session.id)
        return session


def _new(wish: Wish, state: State, now: float) -> Session:
    session_id = new_session_id()
    return Session(
        id=session_id,
        room=session_id,
        state=state,
        created_at=now,
        since=now,
        last_active=now,
        attempt=1,
        agent=wish.agent,
        user_id=wish.user_id,
        user_name=wish.user_name,
        metadata=wish.metadata,
        config=wish.config,
    )


def _with_step(session: Session, name: str, ms: float) -> Session:
    return session if session.state in FINAL else replace(session, steps={**session.steps, name: ms})
