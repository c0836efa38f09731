"""OrderStore kept in memory, for tests; memory_store.py has it in it."""

from __future__ import annotations

from collections.abc import Mapping

from session.store.orders import Given, Orders, PoolSize
from session.store.ports import Worker


class MemoryOrders:
    """What RedisOrders keeps."""

    def __init__(self) -> None:
        self._orders: dict[str, Given] = {}
        self._pool_size: PoolSize | None = None
        self._targets: dict[str, int] = {}
        self.assignments = 0

    async def order(self, worker_id: str, given: Given | None) -> None:
        if given is None:
            self._orders.pop(worker_id, None)
        else:
            self._orders[worker_id] = given

    async def pool_size(self) -> PoolSize | None:
        return self._pool_size

    async def order_pool_size(self, ordered: PoolSize) -> None:
        self._pool_size = ordered

    async def targets(self) -> Mapping[str, int]:
        return dict(self._targets)

    async def assign(self, targets: Mapping[str, int]) -> None:
        self._targets = dict(targets)
        self.assignments += 1

    def orders_of(self, worker: Worker) -> Orders:
        given = self._orders.get(worker.id)
        order = given.order if given is not None and given.holds(worker.started_at) else None
        return Orders(target=self._targets.get(worker.id), order=order)
