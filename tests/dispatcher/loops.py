"""The loops of one dispatcher in a real docket, over a store in memory and a LiveKit in memory; knows no test."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from dispatcher.alerts.alerts import Alerts, Receiver
from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.attempts.silence import Silence
from dispatcher.ending import Ending
from dispatcher.fleet.pool import FleetPool
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.circuit import StartCircuit
from dispatcher.starts.queue import StartQueue
from dispatcher.upkeep.ended import EndedFollower
from dispatcher.upkeep.fast_loop import FastLoop
from dispatcher.upkeep.schedule import DocketTimers, running_tasks
from dispatcher.upkeep.slow_loop import SlowLoop
from session.record import Session
from session.settings import CallLimits
from tests.dispatcher.fakes import FakeRooms
from tests.session.memory_store import MemoryStore

SECRET = "0123456789abcdef0123456789abcdef"
CLAIM_SECONDS = 2.0
LIMITS = CallLimits(_env_file=None)


def counted(metrics: Metrics) -> Callable[[Session], Awaitable[None]]:
    async def count(session: Session) -> None:
        metrics.ended(session)

    return count


@asynccontextmanager
async def running(
    url: str,
    namespace: str,
    rooms: FakeRooms,
    store: MemoryStore | None = None,
    timers: DocketTimers | None = None,
    receiver: Receiver | None = None,
) -> AsyncIterator[None]:
    """The tasks of one dispatcher over these parts."""
    store, timers, metrics = store or MemoryStore(time.time), timers or DocketTimers(), Metrics(CollectorRegistry())
    ending, ended = Ending(store, rooms), EndedFollower(store, "dispatchers", counted(metrics))
    attempts = AttemptExecutor(
        store, rooms, metrics, StartCircuit(store), ending, 9, claim_seconds=CLAIM_SECONDS, timers=timers
    )
    queue, silence = StartQueue(store, attempts, 9), Silence(store, ending, rooms)
    watch = FastLoop(store, rooms, attempts, queue, silence, metrics, FleetPool(store))
    sweep = SlowLoop(store, rooms, ending, LIMITS, metrics, SECRET, 9)
    async with running_tasks(
        url,
        namespace=namespace,
        slow=sweep,
        fast=watch,
        timers=timers,
        alerts=Alerts(store, receiver) if receiver is not None else None,
        followers={"ended": ended.step},
    ):
        yield
