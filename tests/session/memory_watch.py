"""WatchStore in this process's memory: the half of MemoryStore by which no session is forgotten; knows no driver."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

from session.errors import SessionNotFound, Stale
from session.record import FINAL, SEATED, Session, State
from session.store.ports import Event, EventKind, Stats


class MemoryWatch(ABC):
    """What memory_store.py adds the records to."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=10_000)
        self._news = asyncio.Event()
        self._calls: dict[str, float] = {}
        self._watched: tuple[float | None, float] = (None, 0.0)
        self._checkpoints: dict[str, str] = {}
        self._totals = Stats(0, 0, 0.0)
        self.spoiled: dict[str, str] = {}
        """Checkpoints that were set aside, by session."""

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        """The session's record, and the clock's time. Raises SessionNotFound."""
        session = self._record(session_id)
        if session is None:
            raise SessionNotFound
        return session, self._now()

    async def events(self, reader: str, *, wait: float) -> Sequence[Event]:
        """What happened since, each to one reader only."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), wait)
        self._news.clear()
        told = list(self._events)
        self._events.clear()
        return told

    async def due(self, *, limit: int) -> Sequence[str]:
        """Ids of sessions whose deadline has passed, the oldest deadline first."""
        now = self._now()
        due = [(each.deadline, each.id) for each in self._sessions() if each.deadline is not None]
        return [session_id for deadline, session_id in sorted(due) if deadline <= now][:limit]

    async def queue(self) -> Sequence[str]:
        """Ids of the sessions that wait for a slot, the oldest first."""
        return [each for _, each in sorted((s.created_at, s.id) for s in self._sessions() if s.state is State.QUEUED)]

    async def alive(self, session_id: str, *, attempt: int, job: str) -> None:
        """Note that the session's agent lives. Raises Stale."""
        self._current(session_id, attempt, job)
        if session_id in self._calls:
            self._calls[session_id] = self._now()

    async def silent(self, seconds: float) -> Sequence[str]:
        """Ids of the `ready` sessions whose agent has said nothing for so long."""
        since = self._now() - seconds
        return [each for seen, each in sorted((seen, each) for each, seen in self._calls.items()) if seen <= since]

    async def watch(self, *, gap: float, window: float) -> float:
        """Note that somebody watches; gives for how many seconds nothing may be concluded from silence."""
        now, (last, until) = self._now(), self._watched
        if last is None or now - last > gap:
            until = now + window
        self._watched = now, until
        return max(0.0, until - now)

    async def mend_seats(self) -> int:
        """Seats are counted from the records here: there is none that nobody holds."""
        return 0

    async def keep_checkpoint(self, session_id: str, text: str, *, attempt: int, job: str) -> None:
        """Keep the conversation as it is now. Raises Stale."""
        try:
            self._current(session_id, attempt, job)
        except Stale:
            session = self._record(session_id)
            if session is not None and session.state not in FINAL:
                self._totals = replace(self._totals, refused_checkpoints=self._totals.refused_checkpoints + 1)
            raise
        self._checkpoints[session_id] = text

    async def checkpoint(self, session_id: str) -> str | None:
        """The conversation that was kept, None where there is none."""
        return None if self._record(session_id) is None else self._checkpoints.get(session_id)

    async def set_aside(self, session_id: str) -> None:
        """Keep an unreadable checkpoint where nobody takes it up."""
        if session_id in self._checkpoints:
            self.spoiled[session_id] = self._checkpoints.pop(session_id)

    def _watch_over(self, session: Session, before: State | None) -> None:
        """What the dispatchers look at, and what they are told, after a record was stored."""
        if session.deadline is not None and session.deadline <= self._now():
            self._tell(EventKind.DUE, session.id)
        if session.state is State.READY:
            self._calls.setdefault(session.id, self._now())
            if before not in (None, State.READY):
                self._tell(EventKind.READY, session.id)
        else:
            self._calls.pop(session.id, None)
        if before in SEATED and session.state not in SEATED:
            self._tell(EventKind.FREED, session.id)

    def _tell(self, kind: EventKind, session_id: str) -> None:
        self._events.append(Event(kind, session_id))
        self._news.set()

    def _current(self, session_id: str, attempt: int, job: str) -> None:
        session = self._record(session_id)
        if session is None or session.state in FINAL:
            raise Stale
        session.fenced(attempt, job)

    @abstractmethod
    def _record(self, session_id: str) -> Session | None: ...

    @abstractmethod
    def _sessions(self) -> Iterator[Session]: ...

    @abstractmethod
    def _now(self) -> float: ...
