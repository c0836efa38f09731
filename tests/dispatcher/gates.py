"""A gate and access rules in memory, and rooms that are made at once or slowly; knows no test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from limits.aio.storage import MemoryStorage

from dispatcher.access.access import Access
from dispatcher.access.key_ring import KeyRing
from dispatcher.access.keys import ApiKey
from dispatcher.access.proof import Proofs
from dispatcher.access.refusals import Refusals
from dispatcher.livekit.port import OpenRoom
from dispatcher.starts.circuit import StartCircuit
from dispatcher.starts.limits import OFF, RateLimits, read_rate
from dispatcher.starts.permit import Permits
from session.errors import StoreUnavailable
from session.record import Session
from session.store.ports import CircuitStore
from tests.dispatcher.fakes import FakeRooms


def a_gate(store: CircuitStore, *, by_address: str = OFF, by_user: str = OFF) -> Permits:
    """A gate that counts in this process's memory."""
    limits = RateLimits(MemoryStorage(), by_address=read_rate(by_address), by_user=read_rate(by_user))
    return Permits(limits, StartCircuit(store))


@dataclass
class MemoryKeys:
    """API keys in memory; `away` is raised instead, if it is set; one that `fails_once` does so the first time."""

    keys: dict[str, ApiKey] = field(default_factory=dict)
    away: Exception | None = None
    fails_once: bool = False
    reads: int = 0

    async def all(self) -> Sequence[ApiKey]:
        self.reads += 1
        if self.fails_once:
            self.fails_once = False
            raise StoreUnavailable
        if self.away is not None:
            raise self.away
        return list(self.keys.values())

    async def put(self, key: ApiKey) -> None:
        self.keys[key.id] = key

    async def drop(self, key_id: str) -> bool:
        return self.keys.pop(key_id, None) is not None


LIVEKIT_SECRET = "livekit-secret-0123456789abcdef0123456789"


def an_access(
    *keys: ApiKey, counted: Callable[[Exception], None] = lambda _: None, store: MemoryKeys | None = None, **facts: Any
) -> Access:
    """Access by these keys; without any, this machine alone may do everything."""
    limits = RateLimits(MemoryStorage(), by_address=None, by_user=None)
    ring = KeyRing(store or MemoryKeys(), keys)
    return Access(ring, Proofs(LIVEKIT_SECRET), Refusals(limits, counted), **facts)


@dataclass
class SlowRooms(FakeRooms):
    """`meanwhile` happens before CreateRoom answers."""

    meanwhile: Callable[[Session], Awaitable[None]] | None = None

    async def create(self, session: Session, *, with_agent: bool = True) -> None:
        if self.meanwhile is not None:
            await self.meanwhile(session)
        self._asked("create", session.room)
        self.opened.append(OpenRoom(session.room, f"RM_{session.room}"))
