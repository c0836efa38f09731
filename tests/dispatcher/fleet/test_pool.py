"""The pool over all workers: its size is ordered, shared out, and told with the heartbeats."""

from __future__ import annotations

from typing import Any

import pytest

from dispatcher.fleet.pool import FleetPool, Resized
from session.errors import NoWorker
from tests.session.making import NOON, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


class Fleet:
    """Some workers that do as they are told, and the pool over them."""

    def __init__(self) -> None:
        self.store = MemoryStore(lambda: NOON)
        self.pool = FleetPool(self.store)
        self.targets: dict[str, int] = {}

    async def beats(self, worker_id: str, **changes: Any) -> int | None:
        target = self.targets.get(worker_id, 3)
        worker = a_worker(worker_id, **{"slots": 8, "target": target, "prewarm": 3, **changes})
        orders = await self.store.beat(worker)
        if orders.target is not None:
            self.targets[worker_id] = orders.target
        return orders.target


async def test_without_workers_there_is_nothing_to_resize() -> None:
    with pytest.raises(NoWorker):
        await Fleet().pool.resize(3)


async def test_the_size_that_is_configured_is_the_fleets() -> None:
    fleet = Fleet()
    await fleet.beats("a")
    await fleet.pool.share()
    assert await fleet.beats("a") == 3
    await fleet.beats("b")
    await fleet.pool.share()
    assert sorted([await fleet.beats("a") or 0, await fleet.beats("b") or 0]) == [1, 2]


async def test_a_size_is_reached_up_and_down_and_kept_when_workers_come_and_go() -> None:
    fleet = Fleet()
    await fleet.beats("a")
    assert await fleet.pool.resize(6) == Resized(size=6, applied=6, before=3)
    assert await fleet.beats("a") == 6
    assert await fleet.pool.resize(2) == Resized(size=2, applied=2, before=6)
    assert await fleet.beats("a") == 2
    await fleet.beats("b")
    await fleet.pool.share()
    assert await fleet.beats("a") + (await fleet.beats("b") or 0) == 2
    await fleet.beats("a", left=True)
    await fleet.pool.share()
    assert await fleet.beats("b") == 2


async def test_more_than_the_slots_is_applied_as_far_as_they_go() -> None:
    fleet = Fleet()
    await fleet.beats("a", slots=4)
    assert await fleet.pool.resize(9) == Resized(size=9, applied=4, before=3)
    await fleet.beats("b", slots=8)
    await fleet.pool.share()
    assert [await fleet.beats("a", slots=4), await fleet.beats("b")] == [4, 5]


async def test_the_cordoned_workers_part_goes_to_the_others() -> None:
    fleet = Fleet()
    await fleet.beats("a")
    await fleet.beats("b")
    await fleet.pool.share()
    await fleet.beats("a", cordoned=True)
    await fleet.pool.share()
    assert [await fleet.beats("a", cordoned=True), await fleet.beats("b")] == [0, 3]


async def test_nothing_is_written_while_nothing_changes() -> None:
    fleet = Fleet()
    await fleet.beats("a")
    await fleet.pool.share()

    before = fleet.store.assignments
    await fleet.pool.share()
    assert fleet.store.assignments == before
