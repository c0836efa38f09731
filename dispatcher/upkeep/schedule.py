"""What runs without being asked, and when; any replica's docket takes over what a dead one left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from docket import Docket, Perpetual, Worker

from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.upkeep.fast_loop import FastLoop
from dispatcher.upkeep.slow_loop import SlowLoop
from session.errors import SessionError, StoreUnavailable
from session.record import Session

SWEEP_SECONDS = 2.0  # between two sweeps, over all replicas
SWEEP_LIMIT_SECONDS = 20.0  # for one
LOOK_SECONDS = 0.5  # between two looks at what is due, at the queue and at the silent, over all replicas
REDELIVERY = timedelta(seconds=5)  # after which a dead replica's task runs elsewhere; docket renews a living one's
CONCURRENCY = 20  # tasks of one replica at the same time
STOP_SECONDS = 3.0  # for the docket's own clean-up when the dispatcher is told to stop
RETRY_SECONDS = 2.0  # after which a docket that lost its store is opened again
TIMER_SECONDS = 1.0  # for setting a timer; one that is not set is not missed: the look finds its session

_log = logging.getLogger("dispatcher")


class DocketTimers:
    """Timers (dispatcher/attempts/executor.py) in the docket that is open now, if one is."""

    def __init__(self) -> None:
        self.docket: Docket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def at(self, session: Session, seconds: float) -> None:
        """See to the session in so many seconds; the key carries the revision, as a running one's would be dropped."""
        if self.docket is not None:
            when = datetime.now(UTC) + timedelta(seconds=max(0.0, seconds))
            task = asyncio.create_task(self._add(self.docket, session, when), name=f"timer {session.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _add(self, docket: Docket, session: Session, when: datetime) -> None:
        try:
            async with asyncio.timeout(TIMER_SECONDS):
                await docket.add("handle_due", when=when, key=f"see-{session.id}-{session.rev}")(session.id)
        except Exception as error:  # noqa: BLE001  # whatever its driver says: the look finds the session
            _log.warning("session=%s event=timer_not_set error=%s", session.id, type(error).__name__)


@asynccontextmanager
async def running_tasks(
    url: str, *, namespace: str, sweep: SlowLoop, watch: FastLoop, timers: DocketTimers
) -> AsyncIterator[None]:
    """Run the tasks as long as the block does, through every outage of the store.

    Args:
        url: the store's address.
        namespace: second part of every key.
        sweep: what is due every SWEEP_SECONDS.
        watch: looks every LOOK_SECONDS, and follows events all the time.
        timers: gets the docket while it is open.
    """
    stopping = asyncio.Event()
    running = _keep_running(url, namespace, sweep, watch, timers, stopping)
    tasks = {
        asyncio.create_task(running, name="docket"),
        asyncio.create_task(watch.follow(), name="events"),
    }
    try:
        yield
    finally:
        stopping.set()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=STOP_SECONDS)


async def _keep_running(
    url: str, namespace: str, sweep: SlowLoop, watch: FastLoop, timers: DocketTimers, stopping: asyncio.Event
) -> None:
    while not stopping.is_set():
        try:
            await _run(url, namespace, sweep, watch, timers)
        except Exception as error:  # noqa: BLE001  # the task ends here and begins again; nothing else watches it
            _log.warning("event=docket_lost error=%s retry_seconds=%s", type(error).__name__, RETRY_SECONDS)
        # Docket's worker ends quietly when it is cancelled, so a cancelled task may well come by here.
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), RETRY_SECONDS)


async def _run(url: str, namespace: str, sweep: SlowLoop, watch: FastLoop, timers: DocketTimers) -> None:
    async with Docket(name=f"greenroom:{namespace}:docket", url=url) as docket:
        _register(docket, sweep, watch, watch.attempts)
        async with Worker(
            docket,
            concurrency=CONCURRENCY,
            redelivery_timeout=REDELIVERY,
            reconnection_delay=timedelta(seconds=RETRY_SECONDS),
        ) as worker:
            timers.docket = docket
            try:
                await worker.run_forever()
            finally:
                timers.docket = None


def _register(docket: Docket, sweep: SlowLoop, watch: FastLoop, attempts: AttemptExecutor) -> None:
    """Docket's way to say when is the default of an argument; its arguments here are strings only."""
    sweeps, looks = timedelta(seconds=SWEEP_SECONDS), timedelta(seconds=LOOK_SECONDS)

    async def sweep_sessions(perpetual: Perpetual = Perpetual(every=sweeps, automatic=True)) -> None:  # noqa: B008
        try:
            async with asyncio.timeout(SWEEP_LIMIT_SECONDS):
                await sweep.run()
        except (StoreUnavailable, TimeoutError) as error:
            _log.warning("event=sweep_failed error=%s", type(error).__name__)

    async def keep_watch(perpetual: Perpetual = Perpetual(every=looks, automatic=True)) -> None:  # noqa: B008
        try:
            async with asyncio.timeout(SWEEP_LIMIT_SECONDS):
                await watch.look()
        except (SessionError, TimeoutError) as error:
            _log.warning("event=look_failed error=%s", type(error).__name__)

    async def handle_due(session_id: str) -> None:
        try:
            await attempts.handle_due(session_id)
        except SessionError as error:  # the next look finds it
            _log.warning("session=%s event=not_seen_to error=%s", session_id, type(error).__name__)

    for task in (sweep_sessions, keep_watch, handle_due):
        docket.register(task)
