"""Who in a room is a session's caller: the worker asks of those it sees, the dispatcher of those the server lists."""

from __future__ import annotations

from session.fence import caller_identity
from session.record import Session

# LiveKit's kinds of participants by name, since its two SDKs number them differently. The others are agents, and what
# records a room or feeds it.
PERSON, PHONE, CONNECTOR = "STANDARD", "SIP", "CONNECTOR"
CALLER_KINDS = frozenset({PERSON, PHONE, CONNECTOR})
CALL_STATUS = "sip.callStatus"  # attribute of a phone
UNANSWERED = frozenset({"dialing", "ringing", "automation"})  # of its values; "automation": its extension is dialled


def is_caller(session: Session, identity: str, kind: str, call_status: str) -> bool:
    """Whether this is the session's caller; a room that somebody else made names its people as it likes.

    Args:
        session: whose caller is looked for.
        identity: of the participant.
        kind: the name of its kind.
        call_status: its attribute CALL_STATUS; empty where it has none.
    """
    if kind not in CALLER_KINDS or rings(kind, call_status):
        return False
    return session.adopted or identity == caller_identity(session.id)


def rings(kind: str, call_status: str) -> bool:
    """Whether this is a phone that nobody has answered yet: it is no caller before that."""
    return kind == PHONE and call_status in UNANSWERED
