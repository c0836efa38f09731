"""The pool of warm processes over all workers: what it is, its size, its shares; the API and the fast loop use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dispatcher.fleet import shares
from session.errors import NoWorker
from session.store.orders import PoolSize
from session.store.ports import SILENT_SECONDS, Store, Worker


@dataclass(frozen=True, slots=True)
class Resized:
    """A size that was ordered. `applied`: how much of it the workers' slots allow; `before`: what was wanted before."""

    size: int
    applied: int
    before: int


@dataclass(frozen=True, slots=True)
class FleetPool:
    """The pool over this store."""

    store: Store

    async def workers(self) -> Sequence[Worker]:
        """The workers that live. Raises StoreUnavailable."""
        return [each for each in await self.store.workers(seen_within=SILENT_SECONDS) if not each.left]

    async def wanted(self, workers: Sequence[Worker]) -> int:
        """Idle processes that are wanted over all of these. Raises StoreUnavailable."""
        return shares.wanted(await self.store.pool_size(), shares.prewarm(workers))

    async def resize(self, size: int) -> Resized:
        """Want so many idle processes over all workers from now on; they know within a heartbeat.

        Raises:
            NoWorker: there is none to tell PREWARM_POOL_SIZE by, which the order lasts as long as.
            StoreUnavailable.
        """
        workers = await self.workers()
        if not workers:
            raise NoWorker
        before = await self.wanted(workers)
        await self.store.order_pool_size(PoolSize(size=size, prewarm=shares.prewarm(workers)))
        targets = await self._share(workers, size)
        return Resized(size, sum(targets[each] for each in shares.rooms(workers)), before)

    async def share(self) -> None:
        """Tell each worker its share, where that has changed. Raises StoreUnavailable."""
        workers = await self.workers()
        if workers:
            await self._share(workers, await self.wanted(workers))

    async def _share(self, workers: Sequence[Worker], size: int) -> Mapping[str, int]:
        before = await self.store.targets()
        held = {each.id: each.target for each in workers} | dict(before)
        targets = shares.told(workers, shares.shares(size, shares.rooms(workers), held), before)
        if targets != before:
            await self.store.assign(targets)
        return targets
