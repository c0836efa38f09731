"""What operators order of the workers: who takes no new calls, who leaves, and how many processes are kept warm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

ORDER_SECONDS = 86400.0  # an order's life after the last heartbeat of its worker


class WorkerOrder(StrEnum):
    """What one worker is told to do."""

    CORDON = "cordon"  # takes no new calls until it is uncordoned, also after a restart under the same name
    DRAIN = "drain"  # ends as after SIGTERM: its calls finish, or are handed over


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told at each heartbeat.

    Attributes:
        target: idle processes that it keeps warm; None: as many as its own settings say.
        order: what else it is told; None: serve.
    """

    target: int | None = None
    order: WorkerOrder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSize:
    """Idle processes of the whole fleet, as an operator ordered it.

    Attributes:
        size: how many.
        prewarm: PREWARM_POOL_SIZE at that time; the order holds until that changes.
    """

    size: int
    prewarm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An order as it is kept. `started_at`: of the worker that got it: a later one of its name need not drain."""

    order: WorkerOrder
    started_at: float

    def holds(self, started_at: float) -> bool:
        """Whether the worker that started then must obey."""
        return self.order is WorkerOrder.CORDON or self.started_at == started_at


class OrderStore(Protocol):
    """Where orders are kept. Every method may raise StoreUnavailable."""

    async def order(self, worker_id: str, given: Given | None) -> None:
        """Give this order at the worker's next heartbeat, and at all that follow; None takes it back."""

    async def pool_size(self) -> PoolSize | None:
        """The size that was ordered last; None: none ever was."""

    async def order_pool_size(self, ordered: PoolSize) -> None:
        """Keep this size."""

    async def targets(self) -> Mapping[str, int]:
        """How many idle processes each worker is told to keep, by its id."""

    async def assign(self, targets: Mapping[str, int]) -> None:
        """Tell these workers so at their next heartbeat; all others go by their own settings."""
