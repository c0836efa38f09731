"""A gate in memory, and rooms that are made at once or slowly; knows no test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from limits.aio.storage import MemoryStorage

from dispatcher.livekit.port import OpenRoom
from dispatcher.starts.circuit import StartCircuit
from dispatcher.starts.limits import OFF, RateLimits, read_rate
from dispatcher.starts.permit import Permits
from session.record import Session
from session.store.ports import CircuitStore
from tests.dispatcher.fakes import FakeRooms


def a_gate(store: CircuitStore, *, by_address: str = OFF, by_user: str = OFF) -> Permits:
    """A gate that counts in this process's memory."""
    limits = RateLimits(MemoryStorage(), by_address=read_rate(by_address), by_user=read_rate(by_user))
    return Permits(limits, StartCircuit(store))


@dataclass
class SlowRooms(FakeRooms):
    """`meanwhile` happens before CreateRoom answers."""

    meanwhile: Callable[[Session], Awaitable[None]] | None = None

    async def create(self, session: Session, *, with_agent: bool = True) -> None:
        if self.meanwhile is not None:
            await self.meanwhile(session)
        self._asked("create", session.room)
        self.opened.append(OpenRoom(session.room, f"RM_{session.room}"))
