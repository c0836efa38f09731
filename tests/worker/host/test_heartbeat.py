"""A heart that a dead store does not stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from session.errors import StoreUnavailable
from session.store.orders import Orders
from session.store.ports import Worker
from tests.session.making import NOON, a_worker, eventually
from tests.session.memory_store import MemoryStore
from worker.host.heartbeat import Heartbeat

pytestmark = pytest.mark.anyio


class ShakyStore(MemoryStore):
    """Fails the beats, or the counts, while it is told to."""

    def __init__(self) -> None:
        super().__init__(lambda: NOON)
        self.beats = 0
        self.away = False
        self.uncountable = False
        self.breaks: Exception | None = None

    async def beat(self, worker: Worker) -> Orders:
        self.beats += 1
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise error
        if self.away:
            raise StoreUnavailable
        return await super().beat(worker)

    async def count_spawned(self, processes: int) -> None:
        if self.uncountable:
            raise StoreUnavailable
        await super().count_spawned(processes)


class SlowStore(MemoryStore):
    """Answers a beat only when it is told to."""

    def __init__(self) -> None:
        super().__init__(lambda: NOON)
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    async def beat(self, worker: Worker) -> Orders:
        self.asked.set()
        await self.answers.wait()
        return await super().beat(worker)


class Spawned:
    """How many processes there ever were."""

    def __init__(self, total: int) -> None:
        self.total = total

    def __call__(self) -> int:
        return self.total


@asynccontextmanager
async def beating(store: ShakyStore) -> AsyncIterator[None]:
    heart = Heartbeat(store, a_worker, Spawned(0), 0.01)
    task = asyncio.create_task(heart.run())
    try:
        yield
    finally:
        heart.stop()
        await task


async def test_a_beat_tells_of_the_worker() -> None:
    store = ShakyStore()
    await Heartbeat(store, a_worker, Spawned(3), 1).beat()
    assert [worker.id for worker in await store.workers(seen_within=5)] == [a_worker().id]
    assert (await store.stats()).spawned == 3


async def test_each_process_is_counted_once() -> None:
    store, spawned = ShakyStore(), Spawned(3)
    heart = Heartbeat(store, a_worker, spawned, 1)
    await heart.beat()
    await heart.beat()
    spawned.total = 5
    await heart.beat()
    assert (await store.stats()).spawned == 5


async def test_a_count_that_failed_is_made_up_for() -> None:
    store, spawned = ShakyStore(), Spawned(3)
    heart = Heartbeat(store, a_worker, spawned, 1)
    store.uncountable = True
    with pytest.raises(StoreUnavailable):
        await heart.beat()
    store.uncountable, spawned.total = False, 4
    await heart.beat()
    assert (await store.stats()).spawned == 4


async def test_a_heart_that_is_stopped_within_a_beat_ends_after_it() -> None:
    store = SlowStore()
    heart = Heartbeat(store, a_worker, Spawned(0), 60)
    beating = asyncio.create_task(heart.run())
    await store.asked.wait()
    heart.stop()
    store.answers.set()
    await asyncio.wait_for(beating, 1)
    assert len(await store.workers(seen_within=5)) == 1


async def test_a_heart_that_is_stopped_between_two_beats_ends_at_once() -> None:
    store = ShakyStore()
    heart = Heartbeat(store, a_worker, Spawned(0), 60)
    beating = asyncio.create_task(heart.run())

    async def beaten() -> bool:
        return store.beats == 1

    await eventually(beaten)
    heart.stop()
    await asyncio.wait_for(beating, 1)
    assert store.beats == 1


async def test_a_heart_that_hurries_beats_at_once() -> None:
    store = ShakyStore()
    heart = Heartbeat(store, a_worker, Spawned(0), 60)
    beating = asyncio.create_task(heart.run())

    async def beaten() -> bool:
        heart.hurry()
        return store.beats >= 3

    await eventually(beaten)
    heart.stop()
    await asyncio.wait_for(beating, 1)


async def test_it_beats_on_while_the_store_is_away_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    store = ShakyStore()
    store.away = True

    async def beaten(times: int) -> bool:
        return store.beats >= times

    with caplog.at_level(logging.INFO, "worker.host.heartbeat"):
        async with beating(store):
            await eventually(lambda: beaten(4))
            assert len(caplog.records) == 1
            store.away = False
            more = store.beats + 3
            await eventually(lambda: beaten(more))
    assert [(record.levelname, record.getMessage()[:16]) for record in caplog.records] == [
        ("WARNING", "event=store_away"),
        ("INFO", "event=store_back"),
    ]
    assert len(await store.workers(seen_within=5)) == 1


async def test_a_heart_goes_on_after_an_error_that_nobody_expected(caplog: pytest.LogCaptureFixture) -> None:
    store = ShakyStore()
    store.breaks = RuntimeError("nobody expects it")
    async with beating(store):
        await eventually(lambda: _alive(store))
    assert "task=heartbeat error=RuntimeError at " in caplog.text


async def _alive(store: ShakyStore) -> bool:
    return bool(await store.workers(seen_within=1.0))


async def test_failures_of_the_workers_own_tasks_are_counted_in_the_store_once() -> None:
    store, failures = ShakyStore(), Spawned(0)
    heart = Heartbeat(store, a_worker, Spawned(0), 1, failures)
    failures.total = 2
    await heart.beat()
    await heart.beat()
    assert (await store.stats()).task_failures == 2


async def test_what_the_worker_is_ordered_is_done_at_the_next_beat() -> None:
    store, obeyed = ShakyStore(), list[Orders]()
    await store.assign({a_worker().id: 5})
    await Heartbeat(store, a_worker, Spawned(0), 1, obey=obeyed.append).beat()
    assert obeyed == [Orders(target=5)]
