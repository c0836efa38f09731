"""Follows the stream of ended sessions, whoever wrote their end; dispatcher/__main__.py starts one a purpose."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from session.errors import StoreUnavailable
from session.record import Session
from session.store.ports import WatchStore

WAIT_SECONDS = 0.3  # for the next end, in one request
PAUSE_SECONDS = 0.5  # between two requests while the store is away


@dataclass(frozen=True, slots=True)
class EndedFollower:
    """Hands each ended session to `handle`, once over all dispatchers.

    An end is acknowledged after it was handled: one whose dispatcher died meanwhile is handled by another.

    Args:
        store: with the stream.
        group: for what the ends are read: each group gets every end.
        handle: does what follows from an end; must bear to be called twice.
    """

    store: WatchStore
    group: str
    handle: Callable[[Session], Awaitable[None]]
    reader: str = field(default_factory=lambda: secrets.token_hex(4))

    async def step(self) -> int:
        """Handle what has ended; gives how many. While the store is away, wait for it."""
        try:
            found = await self.store.ended(self.group, self.reader, wait=WAIT_SECONDS)
            for each in found:
                await self.handle(each.session)
                await self.store.acknowledge(self.group, [each])
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_SECONDS)
            return 0
        return len(found)
