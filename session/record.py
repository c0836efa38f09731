"""What a session is and how it may change, in pure functions; dispatcher and worker decide by it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from session.errors import IllegalTransition, Stale

LOCAL = ""  # owner of sessions that this machine started without an API key
VERSION = 1  # of every stored record
READABLE = frozenset({VERSION - 1, VERSION})  # so that two releases can run side by side while one replaces the other


class State(StrEnum):
    """Where a session is in its life."""

    RESERVED = "reserved"
    QUEUED = "queued"
    STARTING = "starting"
    READY = "ready"
    RECOVERING = "recovering"
    ENDED = "ended"
    ERROR = "error"


NEXT: Mapping[State, frozenset[State]] = {
    State.RESERVED: frozenset({State.STARTING, State.ENDED, State.ERROR}),
    State.QUEUED: frozenset({State.STARTING, State.ENDED, State.ERROR}),
    State.STARTING: frozenset({State.STARTING, State.READY, State.ENDED, State.ERROR}),
    State.READY: frozenset({State.READY, State.RECOVERING, State.ENDED, State.ERROR}),
    State.RECOVERING: frozenset({State.RECOVERING, State.READY, State.ENDED, State.ERROR}),
    State.ENDED: frozenset(),
    State.ERROR: frozenset(),
}
FINAL = frozenset({State.ENDED, State.ERROR})
LIVE = frozenset(State) - FINAL
SEATED = frozenset({State.STARTING, State.READY, State.RECOVERING})  # these hold one of MAX_BOTS seats
JOINABLE = SEATED | {State.QUEUED}


class EndReason(StrEnum):
    """Why a session ended as it should."""

    STOPPED = "stopped"
    CALLER_LEFT = "caller_left"
    NOT_JOINED = "not_joined"
    IDLE = "idle"
    FINISHED = "finished"
    MAX_DURATION = "max_duration"


class ErrorReason(StrEnum):
    """Why a session ended as it should not."""

    NO_WORKER = "no_worker"
    NO_CAPACITY = "no_capacity"
    NOT_CLAIMED = "not_claimed"
    CONNECT_FAILED = "connect_failed"
    BAD_CONFIG = "bad_config"
    PROVIDER_FAILED = "provider_failed"
    AGENT_FAILED = "agent_failed"
    LOST = "lost"
    SERVER_LOST = "server_lost"


class AttemptStep(StrEnum):
    """How far an attempt is on its way to `ready`."""

    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    CLAIMED = "claimed"


STEP_SECONDS: Mapping[AttemptStep, float] = {
    AttemptStep.DISPATCHED: 2.0,  # a worker accepts after 0.2 s; the default of GREENROOM_CLAIM_SECONDS
    AttemptStep.ACCEPTED: 4.0,  # a warm process claims after 0.01 s, one that must be forked first after 0.1 s
    AttemptStep.CLAIMED: 12.0,  # connecting and publishing take 0.2 s, and are given up after 10 s
}
BACK_SECONDS = 4.0  # for an agent that has lost LiveKit to come back by itself, before it may be replaced
LOSS_WINDOW_SECONDS = 60.0
MOST_LOSSES = 3  # within that window; one more is a crash loop
MOST_TRIES = 3  # dispatches for one start or recovery


class CallerPresence(StrEnum):
    """Whether the session's one caller is in the room."""

    ABSENT = "absent"
    PRESENT = "present"
    AWAY = "away"  # was there, and may come back within the grace


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One conversation of one caller, over all the agents that may serve it.

    All times are Unix seconds of the store's clock. `steps` is the waterfall of the start: milliseconds since the
    request, by the step's name.

    Attributes:
        attempt: the number of the current dispatch; it only grows.
        claimable: whether a job may still accept and claim this attempt: not once its agent was lost.
        accepted: the job that a worker has accepted for this attempt.
        job: the job that has claimed it: the session's one agent.
        progress_at: when the attempt last came a step further (see `step`).
        deadline: when somebody must look at the session again, whatever has happened until then.
        tries: dispatches for this start or recovery.
        recoveries: agents that were lost and replaced, over the whole call.
        losses: when agents were lost within the last LOSS_WINDOW_SECONDS.
        farewell: this attempt's agent is only to say that it cannot go on.
        cut_off: the agent says that it has no connection to LiveKit.
        room_made: LiveKit has made its room: a token that is used before would make one without an agent.
        greeted: the caller has heard an agent.
        phone: `from`, `to` and `call_id` of a caller who telephones; never logged.
        rtvi: the version of RTVI, Pipecat's protocol, that the caller's page speaks; empty until it asks.
        owner: who started it: LOCAL, `key:` and the name of an API key, or `address:` and a digest of an address.
    """

    id: str
    room: str
    state: State
    created_at: float
    since: float
    agent: str = "default"
    rev: int = 0
    attempt: int = 0
    claimable: bool = True
    accepted: str | None = None
    job: str | None = None
    worker: str | None = None
    deployment: str = ""
    progress_at: float = 0.0
    tries: int = 0
    recoveries: int = 0
    losses: tuple[float, ...] = ()
    farewell: bool = False
    cut_off: bool = False
    room_made: bool = False
    greeted: bool = False
    phone: Mapping[str, str] = field(default_factory=dict)
    rtvi: str = ""
    owner: str = ""
    user_id: str | None = None
    user_name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    prewarmed: bool = False
    adopted: bool = False
    caller: CallerPresence = CallerPresence.ABSENT
    caller_since: float | None = None
    last_active: float = 0.0
    deadline: float | None = None
    ready_at: float | None = None
    ended_at: float | None = None
    end_reason: EndReason | None = None
    error: ErrorReason | None = None
    steps: Mapping[str, float] = field(default_factory=dict)

    @property
    def startup_seconds(self) -> float | None:
        """Seconds from the request to the first `ready`, None until then."""
        return None if self.ready_at is None else self.ready_at - self.created_at

    def to(self, state: State, now: float, **changes: Any) -> Session:
        """Move to `state` at `now` (Unix seconds).

        Raises:
            IllegalTransition: the table NEXT does not have this move.
        """
        if state not in NEXT[self.state]:
            raise IllegalTransition(f"a session cannot go from {self.state} to {state}")
        since = self.since if state is self.state else now
        return replace(self, state=state, since=since, **changes)

    def fenced(self, attempt: int, job: str) -> Session:
        """This session, if `attempt` and `job` are those of its current agent and it is live.

        Raises:
            Stale: they are not; the agent must be silent and leave.
        """
        if self.state in FINAL or self.attempt != attempt or self.job != job:
            raise Stale
        return self


def reused_by_user(owner: str) -> bool:
    """Whether this owner's live session is given back to who names its user; an address alone proves nothing."""
    return not owner.startswith("address:")


def new_session_id() -> str:
    """An unguessable id: `session_` and 128 random bits in hex."""
    return f"session_{secrets.token_hex(16)}"


def step(session: Session) -> AttemptStep:
    """How far the current attempt is."""
    if session.job is not None:
        return AttemptStep.CLAIMED
    return AttemptStep.DISPATCHED if session.accepted is None else AttemptStep.ACCEPTED


def dispatched(
    session: Session, now: float, *, deadline: float, deployment: str = "", farewell: bool = False
) -> Session:
    """The session with its next attempt: `recovering` once it had an agent, else `starting`.

    Args:
        session: whose attempt is over, or that never had one.
        now: Unix seconds.
        deadline: when a worker must have accepted it.
        deployment: which workers are asked.
        farewell: the agent is only to say that it cannot go on.
    """
    state = State.RECOVERING if session.state in (State.READY, State.RECOVERING) else State.STARTING
    return session.to(
        state,
        now,
        attempt=session.attempt + 1,
        tries=session.tries + 1,
        claimable=True,
        accepted=None,
        job=None,
        worker=None,
        deployment=deployment,
        progress_at=now,
        deadline=deadline,
        farewell=farewell,
        cut_off=False,
    )


def accepted(session: Session, *, attempt: int, job: str, worker: str, now: float) -> Session:
    """The session whose `attempt` this worker has accepted as `job`; the same job again gets the same answer.

    Raises:
        Stale: the attempt is not the current one, another job has it, its agent was lost, or the session is over.
    """
    if session.state in FINAL or session.attempt != attempt or not session.claimable or session.job is not None:
        raise Stale
    if session.accepted is not None:
        if session.accepted != job:
            raise Stale
        return session
    deadline = now + STEP_SECONDS[AttemptStep.ACCEPTED]
    return replace(session, accepted=job, worker=worker, progress_at=now, deadline=deadline)


def claimed(session: Session, *, attempt: int, job: str, worker: str, now: float) -> Session:
    """The session with `job` as the one agent of `attempt`; the same job asking again gets the same answer.

    Raises:
        Stale: another job has this attempt, the attempt is not the current one, or the session is over.
    """
    if session.state in FINAL or session.attempt != attempt:
        raise Stale
    if session.job == job:
        return session
    taken = session.job is not None or session.state is State.READY or session.accepted not in (None, job)
    if taken or not session.claimable:
        raise Stale
    state = State.STARTING if session.state is State.RESERVED else session.state
    deadline = now + STEP_SECONDS[AttemptStep.CLAIMED]
    return session.to(state, now, accepted=job, job=job, worker=worker, progress_at=now, deadline=deadline)


def became_ready(session: Session, *, attempt: int, job: str, now: float, steps: Mapping[str, float]) -> Session:
    """The session with its agent in the room and its audio track published; `steps` in ms are added.

    Raises:
        Stale: the agent is not the current one.
    """
    session.fenced(attempt, job)
    ready_at = session.ready_at if session.ready_at is not None else now
    merged = {**session.steps, **steps}
    fresh: dict[str, Any] = {"tries": 0, "last_active": now, "progress_at": now, "deadline": None, "cut_off": False}
    return session.to(State.READY, now, ready_at=ready_at, steps=merged, **fresh)


def cut_off(session: Session, *, attempt: int, job: str, now: float) -> Session:
    """The session whose agent has had no connection to LiveKit for BACK_SECONDS; somebody must look at it now.

    Raises:
        Stale: the agent is not the current one.
    """
    session.fenced(attempt, job)
    return replace(session, cut_off=True, deadline=now) if session.state is State.READY else session


def connected_again(session: Session, *, attempt: int, job: str) -> Session:
    """The session whose agent has its connection to LiveKit back.

    Raises:
        Stale: the agent is not the current one.
    """
    session.fenced(attempt, job)
    return replace(session, cut_off=False, deadline=None) if session.cut_off else session


def lost(session: Session, *, job: str, now: float) -> Session:
    """The session whose agent `job` is gone, or whose accepted `job` came to nothing; the next attempt is due now.

    Raises:
        Stale: the session counts on another job, or is over.
    """
    if session.state in FINAL or job not in (session.job, session.accepted):
        raise Stale
    gone: dict[str, Any] = {
        "claimable": False, "accepted": None, "job": None, "worker": None, "progress_at": now, "deadline": now,
        "cut_off": False,
    }  # fmt: skip
    if session.state is not State.READY:
        return replace(session, **gone)
    losses = (*(at for at in session.losses if now - at < LOSS_WINDOW_SECONDS), now)
    return session.to(State.RECOVERING, now, tries=0, recoveries=session.recoveries + 1, losses=losses, **gone)


def ended(session: Session, reason: EndReason, now: float) -> Session:
    """The session, over as it should be; one that is already over stays as it is."""
    if session.state in FINAL:
        return session
    return session.to(State.ENDED, now, end_reason=reason, ended_at=now, deadline=None)


def failed(session: Session, reason: ErrorReason, now: float) -> Session:
    """The session, over as it should not be; one that is already over stays as it is."""
    if session.state in FINAL:
        return session
    return session.to(State.ERROR, now, error=reason, ended_at=now, deadline=None)


def greeted(session: Session, *, attempt: int, job: str, steps: Mapping[str, float]) -> Session:
    """The session whose caller hears its agent, with the `steps` (ms since the request) of that.

    Raises:
        Stale: the agent is not the current one.
    """
    session.fenced(attempt, job)
    return replace(session, greeted=True, steps={**session.steps, **steps})


def caller_moved(session: Session, caller: CallerPresence, *, attempt: int, job: str, now: float) -> Session:
    """The session with its caller there, away or back, as its current agent sees it.

    Raises:
        Stale: the agent is not the current one.
    """
    session.fenced(attempt, job)
    if session.caller is caller:
        return session
    return replace(session, caller=caller, caller_since=now, last_active=now)


def page_speaks(session: Session, rtvi: str, *, attempt: int, job: str) -> Session:
    """The session whose page speaks this version of RTVI: an agent that follows tells it what happens, unasked.

    Raises:
        Stale: the agent is not the current one.
    """
    session.fenced(attempt, job)
    return replace(session, rtvi=rtvi)


def telephoned(session: Session, phone: Mapping[str, str], *, attempt: int, job: str) -> Session:
    """The session whose caller telephones: `from`, `to` and `call_id`.

    Raises:
        Stale: the agent is not the current one.
    """
    session.fenced(attempt, job)
    return replace(session, phone=phone)
