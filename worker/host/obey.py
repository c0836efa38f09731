"""Does what an operator ordered this worker; run.py hands it to the heartbeat, which gets the orders."""

from __future__ import annotations

import asyncio
import logging

from session.store.orders import Orders, WorkerOrder
from worker.host.pool import Pool
from worker.host.server import Slots

logger = logging.getLogger(__name__)


def obey(pool: Pool, slots: Slots, told: asyncio.Event, prewarm: int, orders: Orders) -> None:
    """Keep as many idle processes as ordered, take new calls or none, or drain; a worker that ends heeds nothing.

    Args:
        pool: of this worker.
        slots: of this worker.
        told: set where the worker shall drain; set already where it does.
        prewarm: PREWARM_POOL_SIZE, which counts where no other number is ordered.
        orders: what the heartbeat was answered.
    """
    if told.is_set():
        return
    pool.resize(prewarm if orders.target is None else orders.target)
    cordoned = orders.order is WorkerOrder.CORDON
    if cordoned is not slots.cordoned:
        logger.info("event=%s by=operator", "cordoned" if cordoned else "uncordoned")
        slots.cordoned = cordoned
    if orders.order is WorkerOrder.DRAIN:
        logger.info("event=told_to_drain by=operator")
        told.set()
