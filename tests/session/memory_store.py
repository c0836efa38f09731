"""The store's ports kept in memory, for tests: what RedisStore keeps, as the same JSON; each method is one step."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from session.errors import Conflict, NoCapacity, OperationReused, SessionNotFound, Stale, TooManySessions
from session.record import FINAL, SEATED, Session, State, reused_by_user
from session.store.codec import entry_from_json, entry_to_json, from_cursor, from_json, to_cursor, to_json
from session.store.orders import Orders
from session.store.ports import (
    KEYED_SECONDS,
    LOG_LINES,
    OP_SECONDS,
    REDELIVERY_SECONDS,
    RESERVED_SECONDS,
    SILENT_SECONDS,
    WORKER_SECONDS,
    Ended,
    Event,
    EventKind,
    Page,
    StartResult,
    Stats,
    TranscriptPage,
    Utterance,
    Worker,
)
from tests.session.memory_circuits import MemoryCircuits
from tests.session.memory_orders import MemoryOrders


@dataclass(slots=True)
class _Kept:
    record: str
    op: str
    last_active: float = 0.0
    expires_at: float | None = None
    counted: bool = False
    said: list[str] = field(default_factory=list)
    log: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=LOG_LINES))

    @property
    def session(self) -> Session:
        stored = from_json(Session, self.record)
        return replace(stored, last_active=max(stored.last_active, self.last_active))


class MemoryStore(MemoryCircuits, MemoryOrders):
    """All ports. `now`: the store's clock, Unix seconds; `keep_seconds`: for the record of an ended session."""

    def __init__(self, now: Callable[[], float], *, keep_seconds: float = 86400.0) -> None:
        MemoryCircuits.__init__(self, now)
        MemoryOrders.__init__(self)
        self._events: deque[Event] = deque(maxlen=10_000)
        self._happened: list[Event] = []
        self._calls: dict[str, float] = {}
        self._watched: tuple[float | None, float] = (None, 0.0)
        self._checkpoints: dict[str, str] = {}
        self._totals = Stats(0, 0, 0.0)
        self._notes: dict[str, str] = {}
        self._groups: dict[str, int] = {}  # of each group, how many of `outgoing` it has read
        self._unread: dict[tuple[str, str], float] = {}  # group and entry, by when it was handed out
        self.spoiled: dict[str, str] = {}  # checkpoints that were set aside
        self._keep_seconds = keep_seconds
        self._kept: dict[str, _Kept] = {}
        self._ops: dict[str, tuple[str, str, float]] = {}
        self._users: dict[tuple[str, str], str] = {}
        self._seen: dict[str, float] = {}
        self._workers: dict[str, tuple[str, float]] = {}
        self.outgoing: list[str] = []  # JSON of each session that ended, in order

    async def now(self) -> float:
        return self._now()

    async def get(self, session_id: str) -> Session:
        return self._find(session_id).session

    async def start(
        self, session: Session, *, max_seats: int, op: str, fingerprint: str = "", max_owned: int | None = None
    ) -> StartResult:
        known, asked, until = self._ops.get(op, (session.id, "", 0.0))
        known = known if self._now() < until else session.id
        if (standing := self._lookup(known)) is not None:
            if asked != fingerprint and known != session.id:
                raise OperationReused
            return StartResult(standing.session, reused=False)
        if self._now() < self._seen.get(f"tomb:{session.id}", 0.0):
            raise SessionNotFound
        user = _user(session)
        if user is not None and session.state is not State.RESERVED:
            theirs = self._lookup(self._users.pop(user, ""))
            if theirs is not None and theirs.session.state not in FINAL:
                self._users[user] = theirs.session.id
                theirs.last_active = self._now()
                if fingerprint:
                    self._ops[op] = (theirs.session.id, fingerprint, self._now() + KEYED_SECONDS)
                return StartResult(theirs.session, reused=True)
        self._check_seats(session, max_seats)
        if max_owned is not None and await self.owned(session.owner) >= max_owned:
            raise TooManySessions
        self._ops[op] = (session.id, fingerprint, self._now() + (KEYED_SECONDS if fingerprint else OP_SECONDS))
        self._kept[session.id] = _Kept(to_json(session), op)
        self._settle(session, before=None)
        return StartResult(session, reused=False)

    async def write(self, session: Session, *, op: str, max_seats: int | None = None) -> Session:
        kept = self._find(session.id)
        stored = kept.session
        if kept.op == op:
            return stored
        if stored.rev != session.rev:
            raise Conflict
        self._check_seats(session, max_seats)
        changed = replace(session, rev=session.rev + 1)
        kept.record, kept.op = to_json(changed), op
        self._settle(changed, before=stored.state)
        return changed

    async def touch(self, session_id: str) -> None:
        if (kept := self._lookup(session_id)) is not None:
            kept.last_active = self._now()

    async def page(self, states: Collection[State], *, limit: int, cursor: str | None = None) -> Page:
        chosen = sorted(
            (each for each in self._sessions() if each.state in states),
            key=lambda each: (each.created_at, each.id),
            reverse=True,
        )
        if cursor is not None:
            last_seen = from_cursor(cursor)
            chosen = [each for each in chosen if _age(each) < last_seen]
        limit = max(1, limit)
        last = chosen[limit - 1] if len(chosen) > limit else None
        return Page(chosen[:limit], to_cursor(*_age(last)) if last else None)

    async def counts(self) -> Mapping[State, int]:
        states = [each.state for each in self._sessions()]
        return {state: states.count(state) for state in State}

    async def owned(self, owner: str) -> int:
        return sum(each.owner == owner and each.state not in FINAL for each in self._sessions())

    async def seats(self) -> int:
        return sum(each.state in SEATED for each in self._sessions())

    async def say(self, session_id: str, utterance: Utterance, *, attempt: int, job: str) -> None:
        if (kept := self._lookup(session_id)) is None:
            raise Stale
        kept.session.fenced(attempt, job)
        kept.said.append(to_json(utterance))

    async def transcript(self, session_id: str, *, start: int = 0, limit: int | None = None) -> TranscriptPage:
        said = [from_json(Utterance, each) for each in kept.said] if (kept := self._lookup(session_id)) else []
        last = len(said) if limit is None else start + limit
        return TranscriptPage(said[start:last], last if len(said) > last else None)

    async def log(self, session_id: str, event: str, *, level: str = "info", **facts: Any) -> None:
        if (kept := self._lookup(session_id)) is not None:
            kept.log.append((self._now(), entry_to_json(event, level, facts)))

    async def logs(self, session_id: str, *, limit: int) -> Sequence[Mapping[str, Any]]:
        kept = self._lookup(session_id)
        lines = [] if kept is None else list(kept.log)
        return [entry_from_json(entry, at) for at, entry in lines[max(0, len(lines) - max(0, limit)) :]]

    async def remember(self, key: str, *, seconds: float) -> None:
        self._seen[key] = self._now() + seconds

    async def forget(self, key: str) -> None:
        self._seen.pop(key, None)

    async def first_time(self, key: str, *, seconds: float) -> bool:
        if self._now() < self._seen.get(key, 0.0):
            return False
        self._seen[key] = self._now() + seconds
        return True

    async def beat(self, worker: Worker) -> Orders:
        self._workers[worker.id] = to_json(worker), self._now()
        return self.orders_of(worker)

    async def workers(self, *, seen_within: float) -> Sequence[Worker]:
        since = self._now() - min(seen_within, WORKER_SECONDS)
        fresh = sorted((each, record, seen) for each, (record, seen) in self._workers.items() if seen >= since)
        return [replace(from_json(Worker, record), seen_at=seen) for _, record, seen in fresh]

    async def gone(self, worker_id: str) -> None:
        if worker_id in self._workers:
            record, _ = self._workers[worker_id]
            self._workers[worker_id] = record, self._now() - SILENT_SECONDS

    async def count_spawned(self, processes: int) -> None:
        self._totals = replace(self._totals, spawned=self._totals.spawned + processes)

    async def claim_refused(self) -> None:
        self._totals = replace(self._totals, refused_claims=self._totals.refused_claims + 1)

    async def stats(self) -> Stats:
        return self._totals

    async def note(self, name: str) -> str | None:
        return self._notes.get(name)

    async def keep_note(self, name: str, text: str) -> None:
        self._notes[name] = text

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        session = self._record(session_id)
        if session is None:
            raise SessionNotFound
        return session, self._now()

    async def events(self, reader: str, *, wait: float) -> Sequence[Event]:
        await _until(lambda: bool(self._events), wait)
        told = list(self._events)
        self._events.clear()
        return told

    async def due(self, *, limit: int) -> Sequence[str]:
        now = self._now()
        due = [(each.deadline, each.id) for each in self._sessions() if each.deadline is not None]
        return [session_id for deadline, session_id in sorted(due) if deadline <= now][:limit]

    async def queue(self) -> Sequence[str]:
        return [each for _, each in sorted((s.created_at, s.id) for s in self._sessions() if s.state is State.QUEUED)]

    async def alive(self, session_id: str, *, attempt: int, job: str) -> None:
        self._current(session_id, attempt, job)
        if session_id in self._calls:
            self._calls[session_id] = self._now()

    async def silent(self, seconds: float) -> Sequence[str]:
        since = self._now() - seconds
        return [each for seen, each in sorted((seen, each) for each, seen in self._calls.items()) if seen <= since]

    async def watch(self, *, gap: float, window: float) -> float:
        now, (last, until) = self._now(), self._watched
        if last is None or now - last > gap:
            until = now + window
        self._watched = now, until
        return max(0.0, until - now)

    async def mend_seats(self) -> int:
        return 0

    async def keep_checkpoint(self, session_id: str, text: str, *, attempt: int, job: str) -> None:
        try:
            self._current(session_id, attempt, job)
        except Stale:
            session = self._record(session_id)
            if session is not None and session.state not in FINAL:
                self._totals = replace(self._totals, refused_checkpoints=self._totals.refused_checkpoints + 1)
            raise
        self._checkpoints[session_id] = text

    async def checkpoint(self, session_id: str) -> str | None:
        return None if self._record(session_id) is None else self._checkpoints.get(session_id)

    async def set_aside(self, session_id: str) -> None:
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
        self._happened.append(Event(kind, session_id))

    def _current(self, session_id: str, attempt: int, job: str) -> None:
        session = self._record(session_id)
        if session is None or session.state in FINAL:
            raise Stale
        session.fenced(attempt, job)

    async def ended(self, group: str, reader: str, *, wait: float) -> Sequence[Ended]:
        if group not in self._groups:
            self._groups[group] = len(self.outgoing)
            return []
        await _until(lambda: self._groups[group] < len(self.outgoing), wait)
        fresh = range(self._groups[group], len(self.outgoing))
        late, handed = self._now() - REDELIVERY_SECONDS, {} if fresh else self._unread
        stale = [int(e) for (g, e), at in handed.items() if g == group and at <= late]
        self._groups[group] = len(self.outgoing)
        for each in (*stale, *fresh):
            self._unread[group, str(each)] = self._now()
        return [Ended(str(each), from_json(Session, self.outgoing[each])) for each in (*stale, *fresh)]

    async def acknowledge(self, group: str, ended: Collection[Ended]) -> None:
        for each in ended:
            self._unread.pop((group, each.entry), None)

    async def news(self, after: str | None, *, wait: float) -> tuple[str, Sequence[Event]]:
        start = len(self._happened) if after is None else int(after)
        await _until(lambda: start < len(self._happened), wait)
        return str(len(self._happened)), self._happened[start:]

    async def count_failures(self, failures: int) -> None:
        self._totals = replace(self._totals, task_failures=self._totals.task_failures + failures)

    def _record(self, session_id: str) -> Session | None:
        kept = self._lookup(session_id)
        return None if kept is None else kept.session

    def _lookup(self, session_id: str) -> _Kept | None:
        kept = self._kept.get(session_id)
        if kept is None or kept.expires_at is None or self._now() < kept.expires_at:
            return kept
        del self._kept[session_id]
        return None

    def _find(self, session_id: str) -> _Kept:
        kept = self._lookup(session_id)
        if kept is None:
            raise SessionNotFound
        return kept

    def _sessions(self) -> Iterator[Session]:
        for session_id in list(self._kept):
            kept = self._lookup(session_id)
            if kept is not None:
                yield kept.session

    def _check_seats(self, session: Session, max_seats: int | None) -> None:
        if max_seats is None or session.state not in SEATED:
            return
        taken = {each.id for each in self._sessions() if each.state in SEATED}
        if session.id not in taken and len(taken) >= max_seats:
            raise NoCapacity

    def _settle(self, session: Session, *, before: State | None) -> None:
        """What follows from a record that was just stored: totals, the user's session, its end, its time to live."""
        kept, user = self._kept[session.id], _user(session)
        self._watch_over(session, before)
        if session.startup_seconds is not None and not kept.counted:
            kept.counted = True
            seconds = self._totals.startup_seconds + session.startup_seconds
            self._totals = replace(self._totals, assigned=self._totals.assigned + 1, startup_seconds=seconds)
        if session.state in FINAL:
            if before in FINAL:
                return
            self.outgoing.append(kept.record)
            if session.state is State.ERROR:
                self._totals = replace(self._totals, failed=self._totals.failed + 1)
            self._tell(EventKind.OVER, session.id)
            kept.expires_at = self._now() + self._keep_seconds
            self._seen[f"tomb:{session.id}"] = self._now() + RESERVED_SECONDS
            if user is not None and self._users.get(user) == session.id:
                del self._users[user]
        elif session.state is State.RESERVED and session.deadline is None:
            if before is None:
                kept.expires_at = self._now() + RESERVED_SECONDS
        else:
            kept.expires_at = None
            if user is not None and session.state is not State.RESERVED:
                self._users.setdefault(user, session.id)


def _user(session: Session) -> tuple[str, str] | None:
    if session.user_id is None or not reused_by_user(session.owner):
        return None
    return session.owner, session.user_id


def _age(session: Session) -> tuple[float, str]:
    return session.created_at, session.id


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.002)
