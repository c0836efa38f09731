"""Writes what a call records to the store, in order, and keeps it while the store is away; used by call_record.py."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable

from runtime.background import Background, keep_going
from runtime.retry import retry
from session.errors import SessionError, Stale, StoreUnavailable
from worker.call.intake import Tally

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.5  # between two tries while the store is away
KEPT = 1000  # writes kept while it is away; a call makes about one a second

Write = Callable[[], Awaitable[object]]


class Outbox:
    """One call's outbox. A write that fails in a way nobody expected is dropped and logged; the next ones are made.

    Args:
        owner: whose writes they are, for the log.
        on_stale: called when a write shows that another agent has taken over.
    """

    def __init__(self, owner: str, on_stale: Callable[[], None]) -> None:
        self._queue: asyncio.Queue[Write] = asyncio.Queue()
        self._dropped = Tally()
        self._owner, self._on_stale = owner, on_stale
        self._tasks = Background(owner)
        self._tasks.start(keep_going(self._write_next, "outbox", owner=owner), "outbox")

    def record(self, write: Write, *, essential: bool = False) -> None:
        """Write this after all that was recorded before.

        When KEPT are waiting already it is dropped, unless it is essential, such as the end of the session.
        """
        if essential or self._queue.qsize() < KEPT:
            self._queue.put_nowait(write)
        elif dropped := self._dropped.due(time.monotonic()):
            logger.warning("session=%s event=record_dropped count=%d kept=%d", self._owner, dropped, KEPT)

    async def flush(self, seconds: float) -> None:
        """Wait until all is written, at most so many seconds, and stop; what is left then is logged."""
        try:
            async with asyncio.timeout(seconds):
                await self._queue.join()
        except TimeoutError:
            logger.error("session=%s event=writes_lost waited_seconds=%.1f", self._owner, seconds)
        await self._tasks.close()

    async def _write_next(self) -> None:
        write = await self._queue.get()
        try:
            await retry(write, math.inf, on=StoreUnavailable, pause=RETRY_SECONDS)
        except Stale:
            self._on_stale()
        except SessionError as error:
            logger.warning("session=%s event=record_refused why=%s", self._owner, type(error).__name__)
        finally:
            self._queue.task_done()
