"""Sends to the page one thing after the other, and never holds up the call; front_end.py and rtvi.py fill it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from runtime.background import Background, describe

logger = logging.getLogger(__name__)


class SendQueue:
    """Sends one thing after the other; what cannot be sent is dropped."""

    def __init__(self, name: str) -> None:
        self._queue: asyncio.Queue[Coroutine[Any, Any, object]] = asyncio.Queue()
        self._tasks = Background("front end")
        self._task = self._tasks.start(self._run(), name)

    def send(self, what: Coroutine[Any, Any, object]) -> None:
        """Send this after all that was given before."""
        if self._task.done():
            what.close()
        else:
            self._queue.put_nowait(what)

    async def close(self, seconds: float) -> None:
        """Wait until all is sent, at most so many seconds; then send nothing more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue.join()
        await self._tasks.close()
        while not self._queue.empty():
            self._queue.get_nowait().close()

    async def _run(self) -> None:
        while True:
            what = await self._queue.get()
            try:
                await what
            except Exception as error:  # noqa: BLE001 - what a page shows must never cost the call
                logger.warning("event=front_end_not_told why=%s", describe(error))
            self._queue.task_done()
