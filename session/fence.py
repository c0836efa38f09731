"""Which agent a dispatch is for: the ticket in its metadata, and the identities of agent and caller in the room."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

from session.errors import BadMetadata
from session.record import READABLE, VERSION, Session
from session.reservation import Reservation, read_reservation
from session.store.ports import RESERVED_SECONDS

ALIVE_METHOD = "greenroom.alive"  # a remote procedure of every agent in its room: the answer proves that it is there
# What `lk.publish_on_behalf` says of an agent that another one follows: LiveKit's pages then don't take it for the
# agent any more, nor its leaving for the end of the call. A word, nobody's identity: an avatar names its agent there.
SUCCESSOR = "successor"
MAX_METADATA_BYTES = 4096  # ours is under 100, with a reservation at most 3072; more is not ours


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right of one agent to claim one attempt of one session; the record has the last word.

    `reservation`: what the session is, where its record may not be there yet.
    """

    session_id: str
    attempt: int
    reservation: Reservation | None = None

    def to_json(self) -> str:
        """The job metadata, ASCII."""
        facts: dict[str, object] = {"v": VERSION, "session": self.session_id, "attempt": self.attempt}
        if self.reservation is not None:
            facts["reservation"] = self.reservation.to_dict()
        return json.dumps(facts, allow_nan=False, separators=(",", ":"))


def read_ticket(metadata: str) -> Ticket | None:
    """The ticket in a job's metadata; None where there is none: a room that somebody else made.

    Raises:
        BadMetadata: it is there but not readable.
    """
    if not metadata.strip():
        return None
    if len(metadata.encode(errors="replace")) > MAX_METADATA_BYTES:
        raise BadMetadata("the job's metadata is too long to be ours")
    try:
        data = json.loads(metadata)
    except (ValueError, RecursionError) as error:
        raise BadMetadata("the job's metadata is not JSON") from error
    if not isinstance(data, dict):
        raise BadMetadata
    if "session" not in data:
        return None
    session_id, attempt, version = data["session"], data.get("attempt"), data.get("v")
    if not isinstance(session_id, str) or type(attempt) is not int or attempt < 1:
        raise BadMetadata
    if type(version) is not int or version not in READABLE:
        raise BadMetadata
    reservation = read_reservation(data["reservation"]) if "reservation" in data else None
    return Ticket(session_id, attempt, reservation)


def reserved(ticket: Ticket, room: str, now: float) -> Reservation | None:
    """What the dispatch in this room promises; None: nothing, or its token has run out.

    Only who has LiveKit's secret can make a dispatch or sign a token that carries one, so what it says is ours.

    Args:
        ticket: of the dispatch.
        room: in which it is.
        now: Unix seconds of the store's clock.

    Raises:
        BadMetadata: the ticket is for another room.
    """
    if ticket.reservation is None:
        return None
    if ticket.session_id != room or not room.startswith("session_") or ticket.attempt != 1:
        raise BadMetadata("the reservation is for another room")
    return ticket.reservation if now - ticket.reservation.at < RESERVED_SECONDS else None


def check_room(session: Session, room: str) -> None:
    """Hold a ticket's session against the room that its job is for. Raises BadMetadata: it is another one."""
    if session.room != room:
        raise BadMetadata("the ticket is for another room")


def requested_agent(metadata: str) -> str | None:
    """The agent that a foreign room's dispatch asks for: the field `agent` of its JSON metadata, if any."""
    try:
        data = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    agent = data.get("agent") if isinstance(data, dict) else None
    return agent if isinstance(agent, str) else None


def agent_identity(session_id: str, attempt: int) -> str:
    """The agent's identity in the room: one per attempt, so that removing a ghost cannot hit its successor."""
    return f"agent-{session_id}-{attempt}"


def earlier_identities(session: Session) -> frozenset[str]:
    """The identities of the agents of the attempts before this one."""
    return frozenset(agent_identity(session.id, attempt) for attempt in range(1, session.attempt))


def caller_identity(session_id: str) -> str:
    """The caller's identity in the room: one per session, so that a second join takes the call over."""
    return f"caller-{session_id}"


def adopted_session_id(secret: str, room_sid: str) -> str:
    """The id of the session of a foreign room: the same for every agent sent there, unguessable without `secret`."""
    digest = hmac.new(secret.encode(), f"greenroom-adopt:{room_sid}".encode(), hashlib.sha256)
    return f"session_{digest.hexdigest()[:32]}"
