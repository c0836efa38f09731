"""Who a participant is to a session: its caller, or the ghost of an earlier attempt; upkeep and attempts ask."""

from __future__ import annotations

from dispatcher.livekit.port import Participant
from session import caller
from session.fence import earlier_identities
from session.record import Session


def is_caller(session: Session, participant: Participant) -> bool:
    """Whether this is the session's caller, by the rule that its agent has, too."""
    return caller.is_caller(session, participant.identity, participant.kind, participant.call_status)


def was_expected(session: Session, gone: Participant) -> bool:
    """Whether this one who left was the caller, or a phone that would have become it, had somebody answered."""
    return caller.is_caller(session, gone.identity, gone.kind, call_status="")


def is_ghost(session: Session, participant: Participant) -> bool:
    """Whether this is the agent of an attempt before this one.

    One of a later attempt is none: then the record has moved on since it was read, and that is its agent.
    """
    return participant.identity in earlier_identities(session)
