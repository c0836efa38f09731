"""Follows the stream of ended sessions, whoever wrote their end; dispatcher/__main__.py starts one a purpose."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from dispatcher.observe.failures import contained
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.circuit import StartCircuit
from session.errors import StoreUnavailable
from session.record import Session
from session.store.ports import Ended, WatchStore

WAIT_SECONDS = 0.3  # for the next end, in one request
PAUSE_SECONDS = 0.5  # between two requests while the store is away

Handle = Callable[[Session], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class EndedFollower:
    """Hands each ended session to `handle`, once over all dispatchers.

    An end is acknowledged after it was handled: one that failed, or whose dispatcher died meanwhile, is handled later.
    It holds up no other.

    Args:
        store: with the stream.
        group: for what the ends are read: each group gets every end.
        handle: does what follows from an end; must bear to be called twice.
    """

    store: WatchStore
    group: str
    handle: Handle
    reader: str = field(default_factory=lambda: secrets.token_hex(4))
    _handled: list[Ended] = field(default_factory=list)  # and not acknowledged so far

    async def step(self) -> int:
        """Handle what has ended; gives how many. While the store is away, wait for it."""
        try:
            await self._acknowledge()
            found = await self.store.ended(self.group, self.reader, wait=WAIT_SECONDS)
            for each in found:
                with contained("ended", expected=StoreUnavailable):
                    await self.handle(each.session)
                    self._handled.append(each)
                await self._acknowledge()
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_SECONDS)
            return 0
        return len(found)

    async def _acknowledge(self) -> None:
        await self.store.acknowledge(self.group, self._handled)
        self._handled.clear()


def counting(metrics: Metrics, circuit: StartCircuit) -> Handle:
    """What the dispatchers do with each end: tell the circuit of a failed start, then count the end.

    The circuit may be told twice. The counter must not, so it comes last, when nothing can fail any more.
    """

    async def handle(session: Session) -> None:
        await circuit.failed(session)
        metrics.ended(session)

    return handle
