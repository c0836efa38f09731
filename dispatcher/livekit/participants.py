"""Who a participant is to a session: its caller, or the ghost of an earlier attempt; upkeep and attempts ask."""

from __future__ import annotations

from dispatcher.livekit.port import Participant
from session.fence import caller_identity, earlier_identities
from session.record import Session


def is_caller(session: Session, participant: Participant) -> bool:
    """Whether this is the session's caller; a room that somebody else made names its people as it likes."""
    if session.adopted:
        return not participant.agent
    return participant.identity == caller_identity(session.id)


def is_ghost(session: Session, participant: Participant) -> bool:
    """Whether this is the agent of an attempt before this one.

    One of a later attempt is none: then the record has moved on since it was read, and that is its agent.
    """
    return participant.identity in earlier_identities(session)
