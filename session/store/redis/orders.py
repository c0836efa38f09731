"""Operators' orders, kept in Valkey or Redis; store.py puts it together with the other parts."""

from __future__ import annotations

from collections.abc import Mapping

from session.store.orders import ORDER_SECONDS, Given, PoolSize, WorkerOrder
from session.store.redis.connection import Connection


class RedisOrders:
    """OrderStore over a connection. What cannot be read counts as no order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def order(self, worker_id: str, given: Given | None) -> None:
        """Give this order, or take back what was ordered."""
        key = self._connection.key("ORDER", worker_id)
        if given is None:
            await self._connection.command("DEL", key)
        else:
            kept = f"{given.order} {given.started_at!r}"
            await self._connection.command("SET", key, kept, "PX", int(ORDER_SECONDS * 1e3))

    async def pool_size(self) -> PoolSize | None:
        """The size that was ordered last."""
        size, prewarm = await self._connection.command("HMGET", self._connection.key("POOL"), "size", "prewarm")
        if not (size and prewarm and size.isdecimal() and prewarm.isdecimal()):
            return None
        return PoolSize(size=int(size), prewarm=int(prewarm))

    async def order_pool_size(self, ordered: PoolSize) -> None:
        """Keep this size."""
        key = self._connection.key("POOL")
        await self._connection.command("HSET", key, "size", ordered.size, "prewarm", ordered.prewarm)

    async def targets(self) -> Mapping[str, int]:
        """How many idle processes each worker is told to keep."""
        pairs = await self._connection.command("HGETALL", self._connection.key("TARGETS"))
        return {worker: int(target) for worker, target in dict(pairs).items() if target.isdecimal()}

    async def assign(self, targets: Mapping[str, int]) -> None:
        """Tell these workers so, and no others."""
        await self._connection.run("assign", **{f"target:{worker}": target for worker, target in targets.items()})


def read_order(kept: str | None) -> Given | None:
    """The order in the text that `order` keeps; None for any other text."""
    order, _, started_at = (kept or "").partition(" ")
    try:
        return Given(order=WorkerOrder(order), started_at=float(started_at))
    except ValueError:
        return None
