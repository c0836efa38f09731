"""Writes a call's facts to the store in order, and keeps them while the store is away; knows no room and no media."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable

from runtime.retry import retry
from session.errors import SessionError, Stale, StoreUnavailable

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.5  # between two tries while the store is away
KEPT = 1000  # writes kept while it is away; a call makes about one a second

Write = Callable[[], Awaitable[object]]


class Outbox:
    """One call's outbox. `on_stale` is called when a write shows that another agent has taken over."""

    def __init__(self, on_stale: Callable[[], None]) -> None:
        self._queue: asyncio.Queue[Write] = asyncio.Queue(KEPT)
        self._on_stale = on_stale
        self._task = asyncio.create_task(self._run(), name="recorder")

    def record(self, write: Write) -> None:
        """Write this after all that was recorded before; dropped when KEPT are waiting already."""
        try:
            self._queue.put_nowait(write)
        except asyncio.QueueFull:
            logger.warning("event=record_dropped kept=%d", KEPT)

    async def flush(self, seconds: float) -> None:
        """Wait until all is written, at most so many seconds, and stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue.join()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            write = await self._queue.get()
            await self._write(write)
            self._queue.task_done()

    async def _write(self, write: Write) -> None:
        try:
            await retry(write, math.inf, on=StoreUnavailable, pause=RETRY_SECONDS)
        except Stale:
            self._on_stale()
        except SessionError as error:
            logger.warning("event=record_refused why=%s", type(error).__name__)
