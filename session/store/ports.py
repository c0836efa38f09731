"""The interface of the store, through which dispatcher and worker share sessions and the pool."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from session.errors import Conflict
from session.record import Session, State
from session.store.orders import Orders, OrderStore

LOG_LINES = 100  # kept of each session, as the API promises
RESERVED_SECONDS = 900.0  # in which a token may begin its session: it lives 600 s, and somebody must meet the caller
WORKER_SECONDS = 300.0  # a heartbeat's life: a worker seen this recently may be restarting
REDELIVERY_SECONDS = 30.0  # after which what a reader has not acknowledged is read by another
SILENT_SECONDS = 5.0  # without a heartbeat (one a second) a worker is not counted on, nor a call
OP_SECONDS = 60.0  # how long a repeated `start` is known; whoever repeats one does it within seconds
KEYED_SECONDS = 86400.0  # and of one that carries a fingerprint, which clients repeat within a day
NOTE_SECONDS = 3600.0  # for which a note is kept: whoever writes one reads it within seconds
CIRCUIT_FAILURES = 5  # failed starts within CIRCUIT_SECONDS that open a circuit
CIRCUIT_SECONDS = 60.0  # for which it is open, and a probe may take to succeed or fail
CIRCUIT_KEPT_SECONDS = 3600.0  # an open circuit's life: one that nobody asks for is closed after that
UPDATE_TRIES = 8  # reads and decisions before a contended record is given up; each loser sees a newer revision


@dataclass(frozen=True, slots=True)
class StartResult:
    """What `start` did: the session that now stands, and whether it is the user's earlier one."""

    session: Session
    reused: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some sessions, newest first, and where to go on (None: that was all)."""

    sessions: Sequence[Session]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One thing that was said. `at`: Unix seconds; `interrupted`: only `text` of it was heard."""

    speaker: str  # "user" or "agent"
    text: str
    at: float
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class TranscriptPage:
    """Some of what was said, oldest first, and the number of the one to go on with (None: that was all so far)."""

    items: Sequence[Utterance]
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker's heartbeat. Counts are processes; `seen_at` is the store's clock and set by the store.

    `clock` is the worker's own, Unix seconds, when it beat. `left`: it has stopped in good order. `failed_warmups`:
    processes in a row that could not warm up.
    `agents` maps each agent it serves to the fields a session may override; `providers` maps stt, llm and tts to the
    names that can be used there. `languages` and `voices`: what providers have that tell, by kind, slash and name;
    `speaks`: each agent's own provider of each kind. `reads_reservations`: it records sessions its jobs bring along.
    `target`: idle processes it keeps; `prewarm`: PREWARM_POOL_SIZE. `cordoned`: by an operator.
    """

    id: str
    host: str
    started_at: float
    slots: int
    target: int
    idle: int
    starting: int
    active: int
    draining: bool = False
    left: bool = False
    failed_warmups: int = 0
    deployment: str = ""
    seen_at: float = 0.0
    clock: float | None = None
    agents: Mapping[str, Sequence[str]] = field(default_factory=dict)
    providers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    languages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    voices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    speaks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    reads_reservations: bool = False
    prewarm: int | None = None
    cordoned: bool = False

    @property
    def takes_calls(self) -> bool:
        """Whether it takes new calls, as far as it is asked: those that leave or are cordoned don't."""
        return not (self.draining or self.left or self.cordoned)


@dataclass(frozen=True, slots=True)
class Stats:
    """Totals since the store began. Seconds are summed over the starts that became ready.

    `refused_claims`, `refused_checkpoints`: those that changed nothing, being of an agent that is not the current one.
    `task_failures`: tasks of workers and their calls that failed in a way nobody expected.
    `failed`: sessions that ended with an error.
    """

    spawned: int
    assigned: int
    startup_seconds: float
    refused_claims: int = 0
    refused_checkpoints: int = 0
    task_failures: int = 0
    failed: int = 0


class SessionStore(Protocol):
    """Sessions and what belongs to them. Every method may raise StoreUnavailable."""

    async def now(self) -> float:
        """Unix seconds of the store's clock, the only clock deadlines are kept in."""

    async def get(self, session_id: str) -> Session:
        """The session's record. Raises SessionNotFound, UnreadableRecord."""

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        """The session's record, and the store's time when it was read. Raises as `get`."""

    async def start(
        self, session: Session, *, max_seats: int, op: str, fingerprint: str = "", max_owned: int | None = None
    ) -> StartResult:
        """In one step: give back the user's live session, or admit this new one.

        A session in a SEATED state takes a seat. The user is `(owner, user_id)`; without `user_id`, or where
        `reused_by_user` says no, nothing is reused, and a `reserved` session is neither given back nor exchanged for
        another: it is the user's once it is claimed. Reuse counts as a touch. The same `op` again within a minute (its
        reply was lost), or an id that exists, answers what stands. With a `fingerprint` of what is asked for, that is
        so for KEYED_SECONDS, also of a session that was given back, and the same `op` with another one is refused. An
        id that was in use less than RESERVED_SECONDS before and whose record is gone begins nothing. `max_owned`: how
        many live sessions the owner may have with this one; None: any number.

        Raises NoCapacity, OperationReused, SessionNotFound, TooManySessions.
        """

    async def write(self, session: Session, *, op: str, max_seats: int | None = None) -> Session:
        """Replace the record if its stored revision is still `session.rev`; the result has the next revision.

        Seats follow the state: entering SEATED takes one (NoCapacity when `max_seats` are taken), leaving it gives it
        back; a final state appends the record to the outgoing stream and starts its time to live. The same `op` again
        answers what it did, as long as nobody wrote since. Raises Conflict, SessionNotFound, NoCapacity.
        """

    async def touch(self, session_id: str) -> None:
        """Note that somebody asked for the session: sets `last_active` without a new revision."""

    async def page(self, states: Collection[State], *, limit: int, cursor: str | None = None) -> Page:
        """Sessions in any of `states`, newest first, from after `cursor` on; records that cannot be read are left out.

        Raises ValueError when the cursor is none of ours.
        """

    async def counts(self) -> Mapping[State, int]:
        """How many sessions are in each state now."""

    async def owned(self, owner: str) -> int:
        """How many live sessions this owner has; none are counted for LOCAL."""

    async def seats(self) -> int:
        """How many seats are taken."""

    async def say(self, session_id: str, utterance: Utterance, *, attempt: int, job: str) -> None:
        """Append to the transcript. Raises Stale when the agent is not the current one of a live session."""

    async def transcript(self, session_id: str, *, start: int = 0, limit: int | None = None) -> TranscriptPage:
        """What was said, in order, without what cannot be read.

        Args:
            session_id: by whom.
            start: number of the first utterance, from 0.
            limit: how many at most; None: all.
        """

    async def log(self, session_id: str, event: str, *, level: str = "info", **facts: Any) -> None:
        """Append to the session's log, of which the last LOG_LINES entries are kept. Never words of the caller.

        Of a session that is not there nothing is kept.
        """

    async def logs(self, session_id: str, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest `limit` log entries, oldest first, each with `at`, `level`, `event` and its facts."""

    async def claim_refused(self) -> None:
        """Add to the total of claims that changed nothing."""

    async def first_time(self, key: str, *, seconds: float) -> bool:
        """Whether `key` was not seen within the last `seconds`; remembers it. For dropping duplicates."""

    async def remember(self, key: str, *, seconds: float) -> None:
        """Let `first_time` know `key` for so long from now on."""

    async def forget(self, key: str) -> None:
        """Let the next `first_time` with `key` be the first."""


class EventKind(StrEnum):
    """What the store tells the dispatchers at once; each is found later all the same, if the news gets lost."""

    DUE = "due"  # its deadline is now: its agent was lost
    READY = "ready"  # an agent has come, or has taken over
    OVER = "over"  # it has ended
    FREED = "freed"  # a seat is free


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a session."""

    kind: EventKind
    session_id: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that ended, as its end was written. `entry`: names it in the stream of ended sessions."""

    entry: str
    session: Session


class WatchStore(Protocol):
    """By which no session is forgotten. Every method may raise StoreUnavailable."""

    async def ended(self, group: str, reader: str, *, wait: float) -> Sequence[Ended]:
        """Sessions that ended, each to one reader of the group, until `acknowledge`.

        A group that is new begins with the next end. What a reader has not acknowledged for REDELIVERY_SECONDS goes to
        another one.

        Args:
            group: for what the ends are read, for example "metrics".
            reader: who reads; unique among the group's.
            wait: seconds to wait for the first (below 0.4).
        """

    async def acknowledge(self, group: str, ended: Collection[Ended]) -> None:
        """These are done: no reader of the group gets them again."""

    async def news(self, after: str | None, *, wait: float) -> tuple[str, Sequence[Event]]:
        """What happened after this place, to every reader that asks; and the place to go on from.

        Args:
            after: where the answer before ended; None: now.
            wait: seconds to wait for the first (below 0.4).
        """

    async def events(self, reader: str, *, wait: float) -> Sequence[Event]:
        """What happened since, each to one reader only; waits up to so many seconds (below 0.4) for the first."""

    async def due(self, *, limit: int) -> Sequence[str]:
        """Ids of sessions whose deadline has passed, the oldest deadline first."""

    async def queue(self) -> Sequence[str]:
        """Ids of the sessions that wait for a slot, the oldest first."""

    async def alive(self, session_id: str, *, attempt: int, job: str) -> None:
        """Note that the session's agent lives. Raises Stale when it is not the current one of a live session."""

    async def silent(self, seconds: float) -> Sequence[str]:
        """Ids of the `ready` sessions whose agent has said nothing for so long."""

    async def watch(self, *, gap: float, window: float) -> float:
        """Note that somebody watches; gives for how many seconds nothing may be concluded from silence.

        That is for `window` seconds after nobody watched for more than `gap`: the store was away, or is a new one.
        """

    async def mend_seats(self) -> int:
        """Give back the seats that nobody holds; gives how many there were."""

    async def keep_checkpoint(self, session_id: str, text: str, *, attempt: int, job: str) -> None:
        """Keep the conversation as it is now, in place of what was kept before. Raises Stale as `alive` does.

        What an agent sends that was replaced adds to the total of checkpoints that changed nothing.
        """

    async def checkpoint(self, session_id: str) -> str | None:
        """The conversation that was kept, None where there is none."""

    async def set_aside(self, session_id: str) -> None:
        """Keep an unreadable checkpoint for inspection, as long as the session's record, where nobody takes it up."""


class PoolStore(Protocol):
    """Which workers there are. Every method may raise StoreUnavailable."""

    async def beat(self, worker: Worker) -> Orders:
        """Record the worker's heartbeat, stamped with the store's clock; gives what the worker is ordered."""

    async def gone(self, worker_id: str) -> None:
        """Note that the worker has died: from now on it counts as not seen for SILENT_SECONDS."""

    async def workers(self, *, seen_within: float) -> Sequence[Worker]:
        """Workers whose last heartbeat is at most this many seconds old."""

    async def count_spawned(self, processes: int) -> None:
        """Add to the total of processes that were ever warmed."""

    async def count_failures(self, failures: int) -> None:
        """Add to the total of tasks that failed in a way nobody expected."""

    async def stats(self) -> Stats:
        """Totals for the health answer."""

    async def note(self, name: str) -> str | None:
        """What `keep_note` kept under this name less than NOTE_SECONDS ago."""

    async def keep_note(self, name: str, text: str) -> None:
        """Keep what a task of the dispatchers must know at its next run, which another of them may do."""


class StartReport(StrEnum):
    """What became of a start."""

    FAILED = "failed"
    READY = "ready"
    UNUSED = "unused"  # it was let through and then not begun


@dataclass(frozen=True, slots=True)
class CircuitPass:
    """Whether a start may pass: not when it has to `wait` (seconds). `probe`: it is the only one that may."""

    wait: float = 0.0
    probe: bool = False


class CircuitStore(Protocol):
    """Circuits by their name: closed, open, or with one probe under way. Every method may raise StoreUnavailable."""

    async def enter_circuit(self, circuit: str, *, session_id: str) -> CircuitPass:
        """Let this start pass: any while the circuit is closed, none for CIRCUIT_SECONDS while it is open, then one.

        That one is the probe. When it has neither succeeded nor failed after CIRCUIT_SECONDS, another is let through.
        """

    async def report_circuit(self, circuit: str, report: StartReport, *, session_id: str) -> None:
        """Note what became of this start; reported twice, it counts once.

        CIRCUIT_FAILURES failures within CIRCUIT_SECONDS open a closed circuit. An open one heeds nobody but its probe,
        whose failure opens it anew and whose success closes it; a probe that is unused makes way for another.
        """

    async def open_circuits(self, prefix: str) -> Mapping[str, float]:
        """The open circuits whose names begin so, each with the seconds until a probe may go; 0 or less: now."""


class Store(SessionStore, WatchStore, PoolStore, OrderStore, CircuitStore, Protocol):
    """All of it, as the dispatcher needs it."""


async def update(
    store: SessionStore,
    session_id: str,
    change: Callable[[Session, float], Session],
    *,
    max_seats: int | None = None,
) -> Session:
    """Read, decide, write; read and decide again when somebody else was faster.

    Args:
        store: where the session is kept.
        session_id: which session.
        change: pure; gets the session and the store's time, gives the new session (the same object: nothing to write).
        max_seats: how many seats there are, where the change may take one.

    Raises:
        Conflict: the record never held still. Also what `change`, `get` and `write` raise.
    """
    for _ in range(UPDATE_TRIES):
        session, now = await store.get_with_time(session_id)
        changed = change(session, now)
        if changed is session:
            return session
        try:
            return await store.write(changed, op=secrets.token_hex(8), max_seats=max_seats)
        except Conflict:
            continue
    raise Conflict
