"""A loop, a follower or a timer that fails in a way that nobody expects goes on, and its failures are counted."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.attempts.silence import Silence
from dispatcher.ending import Ending
from dispatcher.fleet.pool import FleetPool
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.circuit import StartCircuit
from dispatcher.starts.news import News
from dispatcher.starts.queue import StartQueue
from dispatcher.upkeep.ended import EndedFollower, counting
from dispatcher.upkeep.fast_loop import FastLoop
from dispatcher.upkeep.schedule import DocketTimers, running_tasks
from dispatcher.upkeep.slow_loop import SlowLoop
from runtime.background import on_failure
from session.record import Session
from session.settings import CallLimits
from session.store.ports import Ended, Event, Page
from tests.dispatcher.fakes import FakeRooms
from tests.session.making import a_session, eventually
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
SECRET = "0123456789abcdef0123456789abcdef"
FAILURES = 2


class BrokenStore(MemoryStore):
    """Fails at first in what is named `broken`, and counts what it was asked after that."""

    def __init__(self, broken: str) -> None:
        super().__init__(time.time)
        self.broken, self.failures, self.asked = broken, FAILURES, Counter[str]()

    async def events(self, reader: str, *, wait: float) -> Sequence[Event]:
        self._ask("events")
        return await super().events(reader, wait=wait)

    async def news(self, after: str | None, *, wait: float) -> tuple[str, Sequence[Event]]:
        self._ask("news")
        return await super().news(after, wait=wait)

    async def ended(self, group: str, reader: str, *, wait: float) -> Sequence[Ended]:
        self._ask("ended")
        return await super().ended(group, reader, wait=wait)

    async def watch(self, *, gap: float, window: float) -> float:
        self._ask("watch")
        return await super().watch(gap=gap, window=window)

    async def page(self, states: Any, *, limit: int, cursor: str | None = None) -> Page:
        self._ask("page")
        return await super().page(states, limit=limit, cursor=cursor)

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        self._ask("get_with_time")
        return await super().get_with_time(session_id)

    def _ask(self, what: str) -> None:
        if what == self.broken and self.failures:
            self.failures -= 1
            raise RuntimeError("nobody expects it")
        self.asked[what] += 1


@asynccontextmanager
async def running(
    url: str, namespace: str, store: BrokenStore, timers: DocketTimers
) -> AsyncIterator[CollectorRegistry]:
    """All tasks of one dispatcher, as dispatcher/__main__.py starts them."""
    registry, rooms = CollectorRegistry(), FakeRooms()
    metrics, ending, circuit = Metrics(registry), Ending(store, rooms), StartCircuit(store)
    attempts = AttemptExecutor(store, rooms, metrics, circuit, ending, 9, timers=timers)
    queue, silence = StartQueue(store, attempts, 9), Silence(store, ending, rooms)
    fast = FastLoop(store, rooms, attempts, queue, silence, metrics, FleetPool(store))
    slow = SlowLoop(store, rooms, ending, CallLimits(_env_file=None), metrics, SECRET, 9)
    ended = EndedFollower(store, "dispatchers", counting(metrics, circuit))
    followers = {"news": News(store).step, "ended": ended.step}
    forget = on_failure(lambda failure: metrics.task_failed(failure.name))
    async with running_tasks(
        url, namespace=namespace, slow=slow, fast=fast, timers=timers, alerts=None, followers=followers
    ):
        yield registry
    forget()


def failed(registry: CollectorRegistry, task: str) -> float | None:
    return registry.get_sample_value("greenroom_task_failures_total", {"task": task})


@pytest.mark.faults
@pytest.mark.parametrize(
    ("broken", "task"),
    [
        ("events", "events"),
        ("news", "news"),
        ("ended", "ended"),
        ("watch", "fast loop"),
        ("page", "slow loop"),
    ],
)
async def test_each_goes_on_after_a_failure_and_its_failures_are_counted(
    broken: str, task: str, valkey_url: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = BrokenStore(broken)

    async def goes_on() -> bool:
        return store.asked[broken] >= 2

    async with running(valkey_url, namespace, store, DocketTimers()) as registry:
        await eventually(goes_on, seconds=20.0)
    assert store.failures == 0
    assert failed(registry, task) == FAILURES
    assert f"task={task} error=RuntimeError at " in caplog.text
    assert "nobody expects it" not in caplog.text


async def test_timers_go_on_after_a_failure_and_their_failures_are_counted(valkey_url: str, namespace: str) -> None:
    store, timers, rung = BrokenStore("get_with_time"), DocketTimers(), 0

    async def goes_on() -> bool:
        nonlocal rung
        if timers.docket is not None:
            rung += 1
            timers.at(a_session("session_nowhere", rev=rung), 0.0)
        return store.asked["get_with_time"] >= 1

    async with running(valkey_url, namespace, store, timers) as registry:
        await eventually(goes_on, seconds=20.0)
    assert store.failures == 0
    assert failed(registry, "due") == FAILURES
