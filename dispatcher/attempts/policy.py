"""What to do about an attempt whose deadline has passed: a pure function that executor.py asks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.fleet.workers import FRESH_SECONDS, chosen
from session.record import (
    LOSS_WINDOW_SECONDS,
    MOST_LOSSES,
    MOST_TRIES,
    STEP_SECONDS,
    AttemptStep,
    ErrorReason,
    Session,
    State,
    step,
)
from session.store.ports import Worker

SLOWER_BY = 5  # sessions under way at once by which a deadline doubles: two cores start about five a second
BACKOFF_SECONDS = 0.25  # before the second try after a death, then twice as long
LONGER_EACH_TRY = 1.5
LOOK_AGAIN_SECONDS = 0.5  # while there is no worker, or no ration
START_PATIENCE_SECONDS = 30.0  # for a worker to appear, of a start that was admitted
RECOVERY_PATIENCE_SECONDS = 60.0  # the same of a call in progress; a worker restarts in about 15
RATION = 4  # recoveries at a time for each worker, so that overload cannot feed itself


@dataclass(frozen=True, slots=True)
class Facts:
    """What a verdict needs besides the session.

    Attributes:
        now: Unix seconds of the store.
        workers: those that serve the session's agent and take new calls, by their heartbeats.
        under_way: sessions that are starting or recovering now, this one included.
        recovering: recoveries of other sessions that are dispatched and not through.
        claim_seconds: how long a worker may take to accept.
        chance: 0 to 1, for jitter.
    """

    now: float
    workers: Sequence[Worker]
    under_way: int
    recovering: int
    claim_seconds: float
    chance: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again at `until`, Unix seconds."""

    until: float


@dataclass(frozen=True, slots=True)
class Redispatch:
    """Dispatch the next attempt."""

    deadline: float
    deployment: str
    farewell: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The session is over."""

    reason: ErrorReason


Decision = Wait | Redispatch | GiveUp


def verdict(session: Session, facts: Facts) -> Decision:
    """What to do about a session without a ready agent, whose deadline has passed at `facts.now`."""
    late_at = _late_at(session, facts)
    if facts.now < late_at:
        return Wait(late_at)
    crash_loop = len([at for at in session.losses if facts.now - at < LOSS_WINDOW_SECONDS]) > MOST_LOSSES
    if session.farewell or session.tries >= MOST_TRIES:
        return GiveUp(_reason(session))
    fresh = [each for each in facts.workers if facts.now - each.seen_at <= FRESH_SECONDS]
    able = [each for each in fresh if each.active < each.slots]
    if not able:
        return _patient(session, facts.now, ErrorReason.NO_CAPACITY if fresh else ErrorReason.NO_WORKER)
    if session.state is State.RECOVERING and facts.recovering >= RATION * len(facts.workers):
        return Wait(facts.now + LOOK_AGAIN_SECONDS * facts.chance)
    return Redispatch(deadline=facts.now + facts.claim_seconds, deployment=chosen(able).deployment, farewell=crash_loop)


def stretch(under_way: int) -> float:
    """By how much deadlines are longer while so many sessions are under way: slow is not lost."""
    return 1.0 + max(0, under_way - 1) / SLOWER_BY


def _late_at(session: Session, facts: Facts) -> float:
    """When the attempt counts as having come to nothing, Unix seconds."""
    if not session.claimable:  # its agent died
        if session.tries == 0:
            return session.progress_at
        return session.progress_at + BACKOFF_SECONDS * math.pow(2, session.tries - 1) * (0.5 + facts.chance)
    reached = step(session)
    seconds = facts.claim_seconds if reached is AttemptStep.DISPATCHED else STEP_SECONDS[reached]
    longer = math.pow(LONGER_EACH_TRY, max(0, session.tries - 1))
    jitter = 0.1 * facts.chance if session.tries > 1 else 0.0
    since = session.progress_at or session.caller_since or session.since
    return since + seconds * longer * stretch(facts.under_way) * (1.0 + jitter)


def _patient(session: Session, now: float, lacking: ErrorReason) -> Decision:
    """Wait for what a start lacks, for a while."""
    recovering = session.state is State.RECOVERING
    # A reserved session has waited since its caller came, however long before that its token was given out.
    since = session.progress_at if session.state is State.RESERVED else session.since
    if now < since + (RECOVERY_PATIENCE_SECONDS if recovering else START_PATIENCE_SECONDS):
        return Wait(now + LOOK_AGAIN_SECONDS)
    return GiveUp(ErrorReason.LOST if recovering else lacking)


def _reason(session: Session) -> ErrorReason:
    if session.state is State.RECOVERING or not session.claimable:
        return ErrorReason.LOST
    return ErrorReason.CONNECT_FAILED if step(session) is AttemptStep.CLAIMED else ErrorReason.NOT_CLAIMED
