"""The ports kept in this process's memory, for tests and single processes; knows no driver and no clock of its own.

It keeps what RedisStore keeps, as the same JSON, and changes it without awaiting anything: each method is one step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from session.errors import Conflict, NoCapacity, OperationReused, SessionNotFound, Stale
from session.record import FINAL, SEATED, Session, State
from session.store.codec import entry_from_json, entry_to_json, from_cursor, from_json, to_cursor, to_json
from session.store.ports import (
    KEYED_SECONDS,
    LOG_LINES,
    OP_SECONDS,
    RESERVED_SECONDS,
    SILENT_SECONDS,
    WORKER_SECONDS,
    Page,
    StartResult,
    Stats,
    Utterance,
    Worker,
)
from tests.session.memory_circuit import MemoryCircuit
from tests.session.memory_watch import MemoryWatch


@dataclass(slots=True)
class _Kept:
    """A session and what belongs to it. `expires_at`: Unix seconds, None for never."""

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


class MemoryStore(MemoryCircuit, MemoryWatch):
    """SessionStore, WatchStore, PoolStore and CircuitStore.

    Args:
        now: Unix seconds; the store's clock.
        keep_seconds: how long the record of an ended session is kept.
    """

    def __init__(self, now: Callable[[], float], *, keep_seconds: float = 86400.0) -> None:
        super().__init__()
        self._clock = now
        self._keep_seconds = keep_seconds
        self._kept: dict[str, _Kept] = {}
        self._ops: dict[str, tuple[str, str, float]] = {}
        self._users: dict[tuple[str, str], str] = {}
        self._seen: dict[str, float] = {}
        self._workers: dict[str, tuple[str, float]] = {}
        self.outgoing: list[str] = []
        """JSON of each session that ended, in order: what RedisStore appends to its stream."""

    async def now(self) -> float:
        """Unix seconds of the clock it was given."""
        return self._now()

    async def get(self, session_id: str) -> Session:
        """The session's record. Raises SessionNotFound."""
        return self._find(session_id).session

    async def start(self, session: Session, *, max_seats: int, op: str, fingerprint: str = "") -> StartResult:
        """Give back the user's live session or admit this one. Raises NoCapacity, OperationReused."""
        known, asked, until = self._ops.get(op, (session.id, "", 0.0))
        known = known if self._now() < until else session.id
        standing = self._lookup(known)
        if standing is not None:
            if asked != fingerprint and known != session.id:
                raise OperationReused
            return StartResult(standing.session, reused=False)
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
        self._ops[op] = (session.id, fingerprint, self._now() + (KEYED_SECONDS if fingerprint else OP_SECONDS))
        self._kept[session.id] = _Kept(to_json(session), op)
        self._settle(session, before=None)
        return StartResult(session, reused=False)

    async def write(self, session: Session, *, op: str, max_seats: int | None = None) -> Session:
        """Replace the record if nobody else did. Raises Conflict, SessionNotFound, NoCapacity."""
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
        """Set `last_active` to now, without a new revision."""
        kept = self._lookup(session_id)
        if kept is not None:
            kept.last_active = self._now()

    async def page(self, states: Collection[State], *, limit: int, cursor: str | None = None) -> Page:
        """Sessions in any of `states`, newest first. Raises ValueError when the cursor is none of ours."""
        chosen = sorted((each for each in self._sessions() if each.state in states), key=_age, reverse=True)
        if cursor is not None:
            last_seen = from_cursor(cursor)
            chosen = [each for each in chosen if _age(each) < last_seen]
        limit = max(1, limit)
        last = chosen[limit - 1] if len(chosen) > limit else None
        return Page(chosen[:limit], to_cursor(*_age(last)) if last else None)

    async def counts(self) -> Mapping[State, int]:
        """How many sessions are in each state now."""
        states = [each.state for each in self._sessions()]
        return {state: states.count(state) for state in State}

    async def seats(self) -> int:
        """How many seats are taken."""
        return sum(each.state in SEATED for each in self._sessions())

    async def say(self, session_id: str, utterance: Utterance, *, attempt: int, job: str) -> None:
        """Append to the transcript. Raises Stale when the agent is not the current one of a live session."""
        kept = self._lookup(session_id)
        if kept is None:
            raise Stale
        kept.session.fenced(attempt, job)
        kept.said.append(to_json(utterance))

    async def transcript(self, session_id: str) -> Sequence[Utterance]:
        """All that was said, in order."""
        kept = self._lookup(session_id)
        return [] if kept is None else [from_json(Utterance, each) for each in kept.said]

    async def log(self, session_id: str, event: str, *, level: str = "info", **facts: Any) -> None:
        """Append to the session's log."""
        kept = self._lookup(session_id)
        if kept is not None:
            kept.log.append((self._now(), entry_to_json(event, level, facts)))

    async def logs(self, session_id: str, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest `limit` log entries, oldest first."""
        kept = self._lookup(session_id)
        lines = [] if kept is None else list(kept.log)
        return [entry_from_json(entry, at) for at, entry in lines[max(0, len(lines) - max(0, limit)) :]]

    async def first_time(self, key: str, *, seconds: float) -> bool:
        """Whether `key` was not seen within the last `seconds`; remembers it."""
        if self._now() < self._seen.get(key, 0.0):
            return False
        self._seen[key] = self._now() + seconds
        return True

    async def beat(self, worker: Worker) -> None:
        """Record the worker's heartbeat, stamped with the clock."""
        self._workers[worker.id] = to_json(worker), self._now()

    async def workers(self, *, seen_within: float) -> Sequence[Worker]:
        """Workers whose last heartbeat is at most this many seconds old, by id."""
        since = self._now() - min(seen_within, WORKER_SECONDS)
        fresh = sorted((each, record, seen) for each, (record, seen) in self._workers.items() if seen >= since)
        return [replace(from_json(Worker, record), seen_at=seen) for _, record, seen in fresh]

    async def gone(self, worker_id: str) -> None:
        """Note that the worker has died."""
        if worker_id in self._workers:
            record, _ = self._workers[worker_id]
            self._workers[worker_id] = record, self._now() - SILENT_SECONDS

    async def count_spawned(self, processes: int) -> None:
        """Add to the total of processes that were ever warmed."""
        self._totals = replace(self._totals, spawned=self._totals.spawned + processes)

    async def claim_refused(self) -> None:
        """Add to the total of claims that changed nothing."""
        self._totals = replace(self._totals, refused_claims=self._totals.refused_claims + 1)

    async def stats(self) -> Stats:
        """Totals since the store began."""
        return self._totals

    def _now(self) -> float:
        return self._clock()

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
            kept.expires_at = self._now() + self._keep_seconds
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
    return None if session.user_id is None else (session.owner, session.user_id)


def _age(session: Session) -> tuple[float, str]:
    return session.created_at, session.id
