"""Wakes the answers that wait for a session: each dispatcher reads the store's events for its own waiters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from session.errors import StoreUnavailable
from session.store.ports import WatchStore

WAIT_SECONDS = 0.3  # for the next event, in one request
PAUSE_SECONDS = 0.5  # between two requests while the store is away


@dataclass
class News:
    """The events of sessions that somebody waits for."""

    store: WatchStore
    _place: str | None = None
    _waiters: dict[str, set[asyncio.Event]] = field(default_factory=dict)

    @contextmanager
    def of(self, session_id: str) -> Iterator[asyncio.Event]:
        """Set whenever something has happened to this session."""
        event = asyncio.Event()
        waiters = self._waiters.setdefault(session_id, set())
        waiters.add(event)
        try:
            yield event
        finally:
            waiters.discard(event)
            if not waiters:
                self._waiters.pop(session_id, None)

    async def step(self) -> None:
        """Read what has happened and wake who waits for it. While the store is away, wait for it."""
        try:
            self._place, events = await self.store.news(self._place, wait=WAIT_SECONDS)
        except StoreUnavailable:
            self._place = None  # what happened meanwhile is found by the backstop
            await asyncio.sleep(PAUSE_SECONDS)
            return
        for event in events:
            for waiter in self._waiters.get(event.session_id, ()):
                waiter.set()
