"""What every store must do about operators' orders, in memory and in a real Valkey alike."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from session.store.orders import Given, Orders, PoolSize, WorkerOrder
from session.store.redis.store import open_store
from tests.session.making import NOON, Store, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

CORDON = Given(order=WorkerOrder.CORDON, started_at=NOON)
DRAIN = Given(order=WorkerOrder.DRAIN, started_at=NOON)


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, valkey_url: str, namespace: str) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(lambda: NOON)
        return
    async with open_store(valkey_url, namespace=namespace, keep_seconds=60) as opened:
        yield opened


async def test_a_worker_without_orders_serves(store: Store) -> None:
    assert await store.beat(a_worker()) == Orders()
    assert await store.pool_size() is None
    assert await store.targets() == {}


async def test_an_order_is_told_at_each_beat_until_it_is_taken_back(store: Store) -> None:
    await store.order("worker_a", CORDON)
    for _ in range(2):
        assert await store.beat(a_worker()) == Orders(order=WorkerOrder.CORDON)
    assert await store.beat(a_worker("worker_b")) == Orders()
    await store.order("worker_a", None)
    assert await store.beat(a_worker()) == Orders()


async def test_a_restart_under_the_same_name_stays_cordoned_and_does_not_drain(store: Store) -> None:
    restarted = a_worker(started_at=NOON + 60)
    await store.order("worker_a", CORDON)
    assert (await store.beat(restarted)).order is WorkerOrder.CORDON
    await store.order("worker_a", DRAIN)
    assert (await store.beat(a_worker())).order is WorkerOrder.DRAIN
    assert (await store.beat(restarted)).order is None


async def test_targets_are_those_that_were_assigned_last(store: Store) -> None:
    await store.assign({"worker_a": 2, "worker, b": 0})
    assert await store.targets() == {"worker_a": 2, "worker, b": 0}
    assert await store.beat(a_worker("worker, b")) == Orders(target=0)
    await store.assign({"worker_a": 1})
    assert await store.targets() == {"worker_a": 1}
    assert await store.beat(a_worker("worker, b")) == Orders()
    await store.assign({})
    assert await store.targets() == {}


async def test_the_size_that_was_ordered_last_is_kept(store: Store) -> None:
    for size in (6, 0):
        await store.order_pool_size(PoolSize(size=size, prewarm=3))
        assert await store.pool_size() == PoolSize(size=size, prewarm=3)


@pytest.mark.parametrize("spoilt", ["cordon", "dance 12.5", "drain noon", ""])
async def test_what_cannot_be_read_is_no_order(spoilt: str, valkey_url: str, namespace: str) -> None:
    prefix = f"greenroom:{namespace}:"
    async with (
        open_store(valkey_url, namespace=namespace, keep_seconds=60) as store,
        Redis.from_url(valkey_url) as raw,
    ):
        await raw.set(f"{prefix}order:worker_a", spoilt)
        await raw.set(f"{prefix}targets", "of another type")
        assert await store.beat(a_worker()) == Orders()
        await raw.delete(f"{prefix}targets")
        await raw.hset(f"{prefix}targets", "worker_a", "many")
        await raw.hset(f"{prefix}pool", mapping={"size": "-1", "prewarm": "3"})
        assert await store.beat(a_worker()) == Orders()
        assert await store.targets() == {}
        assert await store.pool_size() is None
