"""LiveKit as the dispatcher sees it, in memory, and a clock that stands until it is moved; knows no test."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from dispatcher.errors import BadSignature, LiveKitUnavailable
from dispatcher.ports import FrontEnd, Hint, OpenRoom, Participant
from session.model import Session


@dataclass
class Clock:
    """Unix seconds, as often as it is called."""

    seconds: float

    def __call__(self) -> float:
        return self.seconds


@dataclass
class FakeRooms:
    """Rooms (dispatcher/ports.py). `away`: what asks the server raises; `calls`: what was asked, in order."""

    away: bool = False
    people: dict[str, list[Participant]] = field(default_factory=dict)
    opened: list[OpenRoom] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    url: str = "ws://callers"

    async def create(self, session: Session, *, with_agent: bool = True) -> None:
        self._asked("create", session.room)
        self.opened.append(OpenRoom(session.room, f"RM_{session.room}"))

    async def dispatch(self, session: Session) -> None:
        self._asked("dispatch", session.room)

    async def find(self, room: str) -> OpenRoom | None:
        self._asked("find", room)
        return next((each for each in self.opened if each.name == room), None)

    async def tell(self, room: str, identity: str, state: str) -> None:
        self._asked("tell", room)

    async def asked_for(self, room: str) -> str | None:
        self._asked("asked_for", room)
        return None

    def token(self, session: Session, *, name: str | None) -> str:
        return f"token of {session.id}"

    def reserved_token(self, session: Session, front_end: FrontEnd) -> str:
        return f"reserved token of {session.id}"

    async def delete(self, room: str) -> None:
        self._asked("delete", room)
        self.opened = [each for each in self.opened if each.name != room]
        self.people.pop(room, None)

    async def remove(self, room: str, identity: str) -> None:
        self._asked("remove", room)
        self.people[room] = [each for each in self.people.get(room, []) if each.identity != identity]

    async def participants(self, room: str) -> Collection[Participant]:
        self._asked("participants", room)
        return list(self.people.get(room, []))

    async def open_rooms(self) -> Sequence[OpenRoom]:
        self._asked("open_rooms", "")
        return list(self.opened)

    async def ping(self, *, timeout: float) -> None:
        self._asked("ping", "")

    def read_webhook(self, body: bytes, authorization: str) -> Hint:
        raise BadSignature

    @property
    def deleted(self) -> list[str]:
        """The rooms that were closed, in order."""
        return [room for what, room in self.calls if what == "delete"]

    def _asked(self, what: str, room: str) -> None:
        if self.away:
            raise LiveKitUnavailable
        self.calls.append((what, room))
