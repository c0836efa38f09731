"""What the dispatcher wants from LiveKit, in its own words; rooms.py answers it, and a fake in the tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from session.caller import PERSON
from session.fence import Ticket
from session.record import Session

ROOM_SLACK_SECONDS = 60.0  # by which a room outlives the session's own rules, so that those decide
STATE_ATTRIBUTE = "greenroom.state"
RESERVED_TOKEN_SECONDS = 600.0  # life of a token that reserves: front ends fetch it when their page loads


class WebhookKind(StrEnum):
    """The webhooks that mean something here."""

    ROOM_STARTED = "room_started"
    JOINED = "participant_joined"
    LEFT = "participant_left"
    ROOM_FINISHED = "room_finished"


@dataclass(frozen=True, slots=True)
class OpenRoom:
    """A room on the server.

    Attributes:
        sid: is new each time a room of this name is made.
        people: in it; LiveKit does not count agents.
        publishers: of a track; it does count agents here.
        made_at: Unix seconds of the server.
    """

    name: str
    sid: str
    people: int = 0
    publishers: int = 0
    made_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Participant:
    """Who is in a room.

    Attributes:
        kind: the name that LiveKit gives it.
        call_status: of a phone.
        unmuted: the sids of its tracks that can be heard.
    """

    identity: str
    kind: str = PERSON
    call_status: str = ""
    unmuted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoomWebhook:
    """A webhook whose signature was good.

    Attributes:
        kind: None: nothing that matters here.
        replaced: the participant left for a newer join.
        by_itself: it left because it wanted to.
    """

    id: str
    kind: WebhookKind | None
    room: OpenRoom
    participant: Participant | None = None
    replaced: bool = False
    by_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantDetails:
    """What a stock front end wants said about its participant, in its token."""

    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


class Rooms(Protocol):
    """Rooms and the rights to enter them. What asks the server may raise LiveKitUnavailable; `timeout`: seconds."""

    @property
    def url(self) -> str:
        """The server's address for callers."""

    async def create(self, session: Session, *, with_agent: bool = True) -> None:
        """Make the session's room, with the dispatch of its current attempt in the same request or without."""

    async def dispatch(self, session: Session) -> None:
        """Ask for an agent for the session's current attempt, in its room that stands."""

    async def find(self, room: str) -> OpenRoom | None:
        """The room of this name, None where there is none."""

    async def set_caller_state(self, room: str, identity: str, state: str) -> None:
        """Show a page how its session stands: the attribute STATE_ATTRIBUTE of the caller's own participant."""

    def token(self, session: Session, *, name: str | None) -> str:
        """The caller's right to join the session's room."""

    def reserved_token(self, ticket: Ticket, front_end: ParticipantDetails, *, deployment: str) -> str:
        """The caller's right to join, and with it to make, the ticket's room; it carries the dispatch."""

    async def delete(self, room: str) -> None:
        """Close the room and send everybody out; one that is gone already is fine."""

    async def remove(self, room: str, identity: str) -> None:
        """Send one participant out; one that is gone already is fine."""

    async def mark_ghost(self, room: str, identity: str) -> None:
        """Let pages no longer take this participant for the agent; one that is gone already is fine."""

    async def mute(self, room: str, identity: str, track_sid: str) -> None:
        """Let nobody hear this track any more; one that is gone already is fine."""

    async def answers(self, room: str, identity: str, *, timeout: float) -> bool:
        """Whether this agent answers through the room: it lives, and is connected. Raises nothing."""

    async def participants(self, room: str) -> Collection[Participant]:
        """Who is in the room; nobody in one that is gone."""

    async def open_rooms(self) -> Sequence[OpenRoom]:
        """All rooms of the server."""

    async def asked_for(self, room: str) -> Sequence[str]:
        """The metadata of each dispatch that asks for our agents in this room."""

    async def ping(self, *, timeout: float) -> None:
        """Ask the server for something small."""

    def read_webhook(self, body: bytes, authorization: str) -> RoomWebhook:
        """What a webhook says. Raises BadSignature."""
