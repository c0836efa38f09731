"""What a worker does that was ordered something."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from session.store.orders import Orders, WorkerOrder
from worker.host.obey import obey
from worker.host.server import Slots


@dataclass
class Processes:
    """A pool that notes its size."""

    size: int = 3

    def resize(self, target: int) -> None:
        self.size = target


class Scene:
    """A worker of four slots that is configured to keep three processes warm."""

    def __init__(self) -> None:
        self.pool, self.slots, self.told = Processes(), Slots(4), asyncio.Event()

    def gets(self, orders: Orders) -> None:
        obey(self.pool, self.slots, self.told, 3, orders)


def test_the_pool_is_as_large_as_ordered_and_else_as_configured() -> None:
    scene = Scene()
    scene.gets(Orders(target=0))
    assert scene.pool.size == 0
    scene.gets(Orders())
    assert scene.pool.size == 3


def test_a_cordoned_worker_gives_no_slot_until_it_is_uncordoned() -> None:
    scene = Scene()
    assert scene.slots.take("job_a")
    scene.gets(Orders(order=WorkerOrder.CORDON))
    assert not scene.slots.take("job_b")
    assert not scene.told.is_set()
    scene.gets(Orders())
    assert scene.slots.take("job_b")


def test_a_worker_that_drains_heeds_no_further_order() -> None:
    scene = Scene()
    scene.gets(Orders(order=WorkerOrder.DRAIN, target=1))
    assert scene.told.is_set()
    scene.gets(Orders(target=5))
    assert scene.pool.size == 1
