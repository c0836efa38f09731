"""What runs without being asked, and when; any replica's docket takes over what a dead one left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from docket import Docket, Perpetual, Worker

from dispatcher.sweep import Sweep
from session.errors import StoreUnavailable

SWEEP_SECONDS = 2.0  # between two sweeps, over all replicas
SWEEP_LIMIT_SECONDS = 20.0  # for one; less than REDELIVERY, so that no other replica runs it too
REDELIVERY = timedelta(seconds=30)  # after which a dead replica's sweep runs elsewhere
STOP_SECONDS = 3.0  # for the docket's own clean-up when the dispatcher is told to stop
RETRY_SECONDS = 2.0  # after which a docket that lost its store is opened again

_log = logging.getLogger("dispatcher")


@asynccontextmanager
async def running_tasks(url: str, *, namespace: str, sweep: Sweep) -> AsyncIterator[None]:
    """Run the tasks as long as the block does, through every outage of the store.

    Args:
        url: the store's address.
        namespace: second part of every key.
        sweep: what is due every SWEEP_SECONDS.
    """
    stopping = asyncio.Event()
    task = asyncio.create_task(_keep_running(url, namespace, sweep, stopping), name="docket")
    try:
        yield
    finally:
        stopping.set()
        task.cancel()
        await asyncio.wait({task}, timeout=STOP_SECONDS)


async def _keep_running(url: str, namespace: str, sweep: Sweep, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            await _run(url, namespace, sweep)
        except Exception as error:  # noqa: BLE001  # the task ends here and begins again; nothing else watches it
            _log.warning("event=docket_lost error=%s retry_seconds=%s", type(error).__name__, RETRY_SECONDS)
        # Docket's worker ends quietly when it is cancelled, so a cancelled task may well come by here.
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), RETRY_SECONDS)


async def _run(url: str, namespace: str, sweep: Sweep) -> None:
    every = timedelta(seconds=SWEEP_SECONDS)

    async def sweep_sessions(perpetual: Perpetual = Perpetual(every=every, automatic=True)) -> None:  # noqa: B008
        """Docket's way to say when: as the default of an argument."""
        try:
            async with asyncio.timeout(SWEEP_LIMIT_SECONDS):
                await sweep.run()
        except (StoreUnavailable, TimeoutError) as error:
            _log.warning("event=sweep_failed error=%s", type(error).__name__)

    async with Docket(name=f"greenroom:{namespace}:docket", url=url) as docket:
        docket.register(sweep_sessions)
        async with Worker(
            docket,
            concurrency=1,
            redelivery_timeout=REDELIVERY,
            reconnection_delay=timedelta(seconds=RETRY_SECONDS),
        ) as worker:
            await worker.run_forever()
