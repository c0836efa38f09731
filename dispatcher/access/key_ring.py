"""The API keys that are valid now, read from the store again and again; access.py asks for each request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dispatcher.access.key_store import KeyStore
from dispatcher.access.keys import ApiKey, matching
from session.errors import StoreUnavailable

AT_ONCE_SECONDS = 0.1  # a connection that the store has closed fails at once; asking again may then succeed
AWAY_SECONDS = 0.2  # for which a store that did not answer is not asked again: requests must not queue for it
FRESH_SECONDS = 0.5  # for which what was read is believed: a revoked key must stop within a second


@dataclass
class KeyRing:
    """Keys of the settings and of the store. `clock`: seconds, monotonic."""

    store: KeyStore
    first: Sequence[ApiKey] = ()
    clock: Callable[[], float] = time.monotonic
    _read: Sequence[ApiKey] = ()
    _read_at: float | None = None
    _away_at: float | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, presented: str) -> ApiKey | None:
        """The key that was presented, None where it is not valid. Raises StoreUnavailable."""
        return matching(presented, await self._keys())

    async def any(self) -> bool:
        """Whether there is any key. Raises StoreUnavailable."""
        return bool(await self._keys())

    async def _keys(self) -> Sequence[ApiKey]:
        if not self._fresh():
            async with self._reading:
                if not self._fresh():
                    await self._refresh()
        return self._read

    async def _refresh(self) -> None:
        began = self.clock()  # a key that is revoked while we read may still be in the answer
        if self._away_at is not None and began - self._away_at < AWAY_SECONDS:
            raise StoreUnavailable
        try:
            self._read = (*self.first, *await self._ask(began))
        except StoreUnavailable:
            self._away_at = self.clock()
            raise
        self._read_at = began

    async def _ask(self, began: float) -> Sequence[ApiKey]:
        try:
            return await self.store.all()
        except StoreUnavailable:
            if self.clock() - began > AT_ONCE_SECONDS:
                raise
            return await self.store.all()  # the connection was one from before the store's restart

    def _fresh(self) -> bool:
        return self._read_at is not None and self.clock() - self._read_at < FRESH_SECONDS
