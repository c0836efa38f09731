"""LiveKit as the dispatcher sees it, in memory, and a clock that stands until it is moved; knows no test."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from dispatcher.errors import BadSignature, LiveKitUnavailable
from dispatcher.livekit.port import OpenRoom, Participant, ParticipantDetails, RoomWebhook
from session.fence import Ticket, caller_identity
from session.record import Session


@dataclass
class Clock:
    """Unix seconds, as often as it is called."""

    seconds: float

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Timers:
    """Timers that never ring. `set`: for which sessions, and after how many seconds."""

    set: list[tuple[str, float]] = field(default_factory=list)

    def at(self, session: Session, seconds: float) -> None:
        self.set.append((session.id, round(seconds, 3)))


@dataclass
class FakeRooms:
    """Rooms (dispatcher/livekit/port.py).

    Attributes:
        away: what asks the server raises.
        people: who is in which room.
        opened: the rooms there are.
        calls: what was asked, in order.
        dispatched: rooms and attempts for which an agent was asked, in order.
        told: rooms, identities and what their pages were shown, in order.
        metadata: of the newest dispatch for our agents, by room.
        dead: identities of whom the server has lost the node: it lists them for ever, and answers nothing about them.
        marked: identities that pages no longer take for the agent, in order.
        muted: tracks that nobody hears any more, in order.
        answering: identities that answer through the room.
        promised: the metadata that a token carries, by the room that it makes.
    """

    away: bool = False
    people: dict[str, list[Participant]] = field(default_factory=dict)
    opened: list[OpenRoom] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    dispatched: list[tuple[str, int]] = field(default_factory=list)
    told: list[tuple[str, str, str]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    marked: list[str] = field(default_factory=list)
    muted: list[str] = field(default_factory=list)
    answering: set[str] = field(default_factory=set)
    promised: dict[str, str] = field(default_factory=dict)
    url: str = "ws://callers"

    async def create(self, session: Session, *, with_agent: bool = True) -> None:
        self._asked("create", session.room)
        self._open(session.room)
        if with_agent:
            self._dispatched(session)

    async def dispatch(self, session: Session) -> None:
        self._asked("dispatch", session.room)
        self._open(session.room)
        self._dispatched(session)

    async def find(self, room: str) -> OpenRoom | None:
        self._asked("find", room)
        return next((each for each in self._counted() if each.name == room), None)

    async def set_caller_state(self, room: str, identity: str, state: str) -> None:
        self._asked("tell", room)
        self.told.append((room, identity, state))

    def token(self, session: Session, *, name: str | None) -> str:
        return f"token of {session.id}"

    def reserved_token(self, ticket: Ticket, front_end: ParticipantDetails, *, deployment: str) -> str:
        self.promised[ticket.session_id] = ticket.to_json()
        return f"reserved token of {ticket.session_id}"

    def joined(self, room: str) -> OpenRoom:
        """The room, made by a caller who has joined with its reserved token."""
        self._open(room)
        self.metadata[room] = self.promised[room]
        self.people.setdefault(room, []).append(Participant(caller_identity(room)))
        return next(each for each in self._counted() if each.name == room)

    async def delete(self, room: str) -> None:
        self._asked("delete", room)
        self.opened = [each for each in self.opened if each.name != room]
        self.people.pop(room, None)

    async def mark_ghost(self, room: str, identity: str) -> None:
        self._asked("mark", room)
        await self._alive(identity)
        self.marked.append(identity)

    async def mute(self, room: str, identity: str, track_sid: str) -> None:
        self._asked("mute", room)
        await self._alive(identity)
        self.muted.append(track_sid)

    async def answers(self, room: str, identity: str, *, timeout: float) -> bool:
        self.calls.append(("ask", room))
        return identity in self.answering and not self.away

    async def remove(self, room: str, identity: str) -> None:
        self._asked("remove", room)
        await self._alive(identity)
        self.people[room] = [each for each in self.people.get(room, []) if each.identity != identity]

    async def participants(self, room: str) -> Collection[Participant]:
        self._asked("participants", room)
        return list(self.people.get(room, []))

    async def open_rooms(self) -> Sequence[OpenRoom]:
        self._asked("open_rooms", "")
        return self._counted()

    async def asked_for(self, room: str) -> Sequence[str]:
        self._asked("asked_for", room)
        return [self.metadata[room]] if room in self.metadata else []

    async def ping(self, *, timeout: float) -> None:
        self._asked("ping", "")

    def read_webhook(self, body: bytes, authorization: str) -> RoomWebhook:
        raise BadSignature

    @property
    def deleted(self) -> list[str]:
        """The rooms that were closed, in order."""
        return [room for what, room in self.calls if what == "delete"]

    async def _alive(self, identity: str) -> None:
        if identity in self.dead:
            await asyncio.Event().wait()

    def _open(self, room: str) -> None:
        if room not in [each.name for each in self.opened]:
            self.opened.append(OpenRoom(room, f"RM_{room}"))

    def _dispatched(self, session: Session) -> None:
        self.dispatched.append((session.room, session.attempt))
        self.metadata[session.room] = Ticket(session.id, session.attempt).to_json()

    def _counted(self) -> list[OpenRoom]:
        """The rooms with their counts as LiveKit counts: agents are no people, but they publish."""
        counted = []
        for each in self.opened:
            there = self.people.get(each.name, [])
            people = sum(who.kind != "AGENT" for who in there)
            counted.append(replace(each, people=people, publishers=len(there)))
        return counted

    def _asked(self, what: str, room: str) -> None:
        if self.away:
            raise LiveKitUnavailable
        self.calls.append((what, room))
