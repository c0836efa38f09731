"""Tells the store every second that this worker lives and what it could take; worker/host/run.py starts it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable

from runtime.background import failed_so_far, report
from session.errors import StoreUnavailable
from session.store.orders import Orders
from session.store.ports import PoolStore, Worker

logger = logging.getLogger(__name__)


class Heartbeat:
    """Beats until it is stopped.

    Args:
        store: where the heartbeats go.
        describe: the worker as it is now.
        spawned: processes ever warmed, of which the store keeps a total.
        seconds: between two beats.
        failures: tasks of this process that ever failed unexpectedly; the store keeps a total of these, too.
        obey: does what the worker is ordered, at each beat; must not wait.
    """

    def __init__(
        self,
        store: PoolStore,
        describe: Callable[[], Worker],
        spawned: Callable[[], int],
        seconds: float,
        failures: Callable[[], int] = failed_so_far,
        obey: Callable[[Orders], None] = lambda orders: None,
    ) -> None:
        self._store, self._describe, self._obey, self._seconds = store, describe, obey, seconds
        self._spawned, self._failures = spawned, failures
        self._spawned_told = self._failures_told = 0
        self._away = False
        self._taken_at = -math.inf
        self._stopped = False
        self._now = asyncio.Event()

    def hurry(self) -> None:
        """Beat now: something has changed that starts and recoveries wait for."""
        self._now.set()

    def stop(self) -> None:
        """Begin no further beat. Not by cancelling: on Python 3.11 the driver loses a cancellation now and then."""
        self._stopped = True
        self._now.set()

    async def run(self) -> None:
        """Beat until `stop`; a store that is away is said once, and the beats go on."""
        while not self._stopped:
            try:
                await self.beat()
            except StoreUnavailable:
                if not self._away:
                    logger.warning("event=store_away calls go on, new ones must wait")
                self._away = True
            except Exception as error:  # noqa: BLE001 - without its heartbeat the whole worker would count as gone
                report("worker", "heartbeat", error)
            else:
                if self._away:
                    logger.info("event=store_back")
                self._away = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._now.wait()
            self._now.clear()

    @property
    def age(self) -> float:
        """Seconds since the store took the last beat."""
        return time.monotonic() - self._taken_at

    async def beat(self) -> None:
        """Beat once. Raises StoreUnavailable."""
        orders = await self._store.beat(self._describe())
        self._taken_at = time.monotonic()
        self._obey(orders)
        spawned, failures = self._spawned() - self._spawned_told, self._failures() - self._failures_told
        if spawned:
            await self._store.count_spawned(spawned)
            self._spawned_told += spawned
        if failures:
            await self._store.count_failures(failures)
            self._failures_told += failures
