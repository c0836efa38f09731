"""Which sessions end by themselves, and why, by pure rules that the slow loop asks.

The worker judges first, in the room; what is here stands behind it, SLACK_SECONDS later, and judges alone where no
agent ever came. Sessions that wait for an agent are confirm.py's.
"""

from __future__ import annotations

from dataclasses import dataclass

from dispatcher.livekit.port import RESERVED_TOKEN_SECONDS
from session.record import CallerPresence, EndReason, ErrorReason, Session, State
from session.settings import CallLimits

UNJOINED_SECONDS = 60.0  # after its start, for the caller to join while other starts wait for a slot
SLACK_SECONDS = 5.0  # by which the worker's own judgement comes first


@dataclass(frozen=True, slots=True)
class Expired:
    """This session is over. `absent`: because its caller is not there, which the server must confirm."""

    reason: EndReason | ErrorReason
    absent: bool = False


def verdict(session: Session, limits: CallLimits, now: float, *, crowded: bool = False) -> Expired | None:
    """Why a session is over; None while it is not. What was due first is the reason.

    Args:
        session: which one.
        limits: how long callers may take.
        now: Unix seconds.
        crowded: other starts wait for a slot, so that a caller who never came gives way after UNJOINED_SECONDS.
    """
    due = [(moment, each) for moment, each in _deadlines(session, limits, crowded=crowded) if moment <= now]
    return min(due, key=lambda pair: pair[0])[1] if due else None


def _deadlines(session: Session, limits: CallLimits, *, crowded: bool) -> list[tuple[float, Expired]]:
    match session.state:
        case State.RESERVED if session.deadline is None:  # its caller has not come, or it would have one
            return [(session.created_at + RESERVED_TOKEN_SECONDS + SLACK_SECONDS, Expired(EndReason.NOT_JOINED))]
        case State.READY | State.RECOVERING:
            return _patience(session, limits, crowded=crowded)
        case _:
            return []


def _patience(session: Session, limits: CallLimits, *, crowded: bool) -> list[tuple[float, Expired]]:
    """When a session that had its agent ends: by its length, and by its caller's absence."""
    due = []
    if limits.max_session_seconds is not None and session.ready_at is not None:
        end = session.ready_at + limits.max_session_seconds + SLACK_SECONDS
        due.append((end, Expired(EndReason.MAX_DURATION)))
    if session.caller is CallerPresence.PRESENT:
        return due
    away_since = session.caller_since if session.caller_since is not None else session.created_at
    idle_since = max(session.last_active, away_since)
    due.append((idle_since + limits.idle_seconds, Expired(EndReason.IDLE, absent=True)))
    if session.caller is CallerPresence.AWAY:
        grace = max(limits.caller_grace, limits.hangup_grace)  # the record does not say how the caller left
        due.append((away_since + grace + SLACK_SECONDS, Expired(EndReason.CALLER_LEFT, absent=True)))
    else:
        patience = limits.join_seconds + SLACK_SECONDS
        joined_by = session.created_at + (min(patience, UNJOINED_SECONDS) if crowded else patience)
        due.append((joined_by, Expired(EndReason.NOT_JOINED, absent=True)))
    return due
