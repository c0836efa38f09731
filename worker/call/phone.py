"""What LiveKit's SIP service says of a telephone call, from the attributes of its participant; call.py asks."""

from __future__ import annotations

from collections.abc import Mapping

from livekit import rtc

from pipeline.agents.tools import Phone
from session.record import Session

THEIR_NUMBER, OUR_NUMBER, CALL_ID = "sip.phoneNumber", "sip.trunkPhoneNumber", "sip.callID"
RULE = "sip.ruleID"  # of the dispatch rule that took the call: only one that came in has it
MAX_CHARACTERS = 128  # of each; a SIP address comes from the other side, and may be any text


def phone_of(participant: rtc.Participant | None) -> Phone | None:
    """The telephone call of this participant; None where it is none."""
    if participant is None or participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
        return None
    facts = participant.attributes
    theirs, ours = _fact(facts, THEIR_NUMBER), _fact(facts, OUR_NUMBER)
    came_in = bool(facts.get(RULE))
    return Phone(
        from_number=theirs if came_in else ours,
        to_number=ours if came_in else theirs,
        call_id=_fact(facts, CALL_ID),
    )


def recorded(phone: Phone) -> dict[str, str]:
    """A telephone call as a session's record keeps it."""
    return {"from": phone.from_number, "to": phone.to_number, "call_id": phone.call_id}


def phone_in(session: Session) -> Phone | None:
    """The telephone call in a session's record; None where it has none."""
    kept = session.phone
    if not kept:
        return None
    return Phone(kept.get("from", ""), kept.get("to", ""), kept.get("call_id", ""))


def _fact(facts: Mapping[str, str], name: str) -> str:
    return "".join(each for each in facts.get(name, "")[:MAX_CHARACTERS] if each.isprintable())
