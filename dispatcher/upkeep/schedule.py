"""When the loops, timers and followers run; dispatcher/__main__.py starts them, and replicas share the loops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from docket import Docket, Perpetual, Worker

from dispatcher.alerts.alerts import Alerts
from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.upkeep.fast_loop import FastLoop
from dispatcher.upkeep.slow_loop import SlowLoop
from runtime.background import Background, keep_going, report
from session.errors import SessionError, StoreUnavailable
from session.record import Session
from session.timing import TASKS_SECONDS

SLOW_SECONDS = 2.0  # between two runs of the slow loop, over all replicas
RUN_SECONDS = 20.0  # for one run of a loop
ALERT_SECONDS = 5.0  # between two looks for alerts, over all replicas
FAST_SECONDS = 0.5  # between two runs of the fast loop, over all replicas
REDELIVERY = timedelta(seconds=5)  # after which a dead replica's task runs elsewhere; docket renews a living one's
CONCURRENCY = 20  # tasks of one replica at the same time
RETRY_SECONDS = 2.0  # after which a docket that lost its store is opened again
TIMER_SECONDS = 1.0  # for setting a timer; one that is not set is not missed: the fast loop finds its session

_log = logging.getLogger("dispatcher")


class DocketTimers:
    """Timers (dispatcher/attempts/executor.py) in the docket that is open now, if one is."""

    def __init__(self) -> None:
        self.docket: Docket | None = None
        self._tasks = Background("dispatcher")

    def at(self, session: Session, seconds: float) -> None:
        """Handle it in so many seconds; the key carries the revision, as docket drops the key of a running task."""
        if self.docket is not None:
            when = datetime.now(UTC) + timedelta(seconds=max(0.0, seconds))
            self._tasks.start(self._add(self.docket, session, when), "timer")

    async def _add(self, docket: Docket, session: Session, when: datetime) -> None:
        try:
            async with asyncio.timeout(TIMER_SECONDS):
                await docket.add("handle_due", when=when, key=f"see-{session.id}-{session.rev}")(session.id)
        except Exception as error:  # noqa: BLE001  # whatever its driver says: the fast loop finds the session
            _log.warning("session=%s event=timer_not_set error=%s", session.id, type(error).__name__)


@asynccontextmanager
async def running_tasks(
    url: str,
    *,
    namespace: str,
    slow: SlowLoop,
    fast: FastLoop,
    timers: DocketTimers,
    alerts: Alerts | None,
    followers: Mapping[str, Callable[[], Awaitable[object]]],
) -> AsyncIterator[None]:
    """Run the tasks as long as the block does, through every outage of the store and every error of our own.

    Args:
        url: the store's address.
        namespace: second part of every key.
        slow: runs every SLOW_SECONDS.
        fast: runs every FAST_SECONDS, and follows events all the time.
        timers: gets the docket while it is open.
        alerts: looked after every ALERT_SECONDS; None: nobody wants them.
        followers: further steps that are repeated all the time, by name.
    """
    stopping, tasks = asyncio.Event(), Background("dispatcher")
    tasks.start(_keep_running(url, namespace, _Tasks(slow, fast, alerts), timers, stopping), "docket")
    for name, step in {"events": fast.follow, **followers}.items():
        tasks.start(keep_going(step, name, owner="dispatcher"), name)
    try:
        yield
    finally:
        stopping.set()
        await tasks.close(seconds=TASKS_SECONDS)


@dataclass(frozen=True, slots=True)
class _Tasks:
    """What docket runs."""

    slow: SlowLoop
    fast: FastLoop
    alerts: Alerts | None


async def _keep_running(url: str, namespace: str, run: _Tasks, timers: DocketTimers, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            await _run(url, namespace, run, timers)
        except Exception as error:  # noqa: BLE001  # the task ends here and begins again; nothing else watches it
            _log.warning("event=docket_lost error=%s retry_seconds=%s", type(error).__name__, RETRY_SECONDS)
        # Docket's worker ends quietly when it is cancelled, so a cancelled task may well come by here.
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), RETRY_SECONDS)


async def _run(url: str, namespace: str, run: _Tasks, timers: DocketTimers) -> None:
    async with Docket(name=f"greenroom:{namespace}:docket", url=url) as docket:
        _register_loops(docket, run)
        _register_due(docket, run.fast.attempts)
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


def _register_loops(docket: Docket, run: _Tasks) -> None:
    """Docket's way to say when is the default of an argument; its arguments here are strings only."""
    slow_every, fast_every = timedelta(seconds=SLOW_SECONDS), timedelta(seconds=FAST_SECONDS)
    alerts_every = timedelta(seconds=ALERT_SECONDS)

    async def slow_loop(perpetual: Perpetual = Perpetual(every=slow_every, automatic=True)) -> None:  # noqa: B008
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await run.slow.run()
        except (StoreUnavailable, TimeoutError) as error:
            _log.warning("event=sweep_failed error=%s", type(error).__name__)
        except Exception as error:  # noqa: BLE001  # docket would say it in its own way; the next run goes on
            report("dispatcher", "slow loop", error)

    async def fast_loop(perpetual: Perpetual = Perpetual(every=fast_every, automatic=True)) -> None:  # noqa: B008
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await run.fast.run()
        except (SessionError, TimeoutError) as error:
            _log.warning("event=look_failed error=%s", type(error).__name__)
        except Exception as error:  # noqa: BLE001  # as above
            report("dispatcher", "fast loop", error)

    # Registered by those to whom nobody wants alerts posted, too: docket drops what a dispatcher does not know.
    async def look_at_alerts(perpetual: Perpetual = Perpetual(every=alerts_every, automatic=True)) -> None:  # noqa: B008
        try:
            async with asyncio.timeout(RUN_SECONDS):
                if run.alerts is not None:
                    await run.alerts.look()
        except (StoreUnavailable, TimeoutError) as error:
            _log.warning("event=alerts_not_judged error=%s", type(error).__name__)
        except Exception as error:  # noqa: BLE001  # as above
            report("dispatcher", "alerts", error)

    for task in (slow_loop, fast_loop, look_at_alerts):
        docket.register(task)


def _register_due(docket: Docket, attempts: AttemptExecutor) -> None:
    async def handle_due(session_id: str) -> None:
        try:
            await attempts.handle_due(session_id)
        except SessionError as error:  # the next look finds it
            _log.warning("session=%s event=not_seen_to error=%s", session_id, type(error).__name__)
        except Exception as error:  # noqa: BLE001  # as above
            report("dispatcher", "due", error)

    docket.register(handle_due)
