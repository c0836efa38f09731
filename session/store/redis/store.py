"""The store over Valkey or Redis, put together from its parts; every process that needs one opens it here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from session.store.redis.circuits import RedisCircuits
from session.store.redis.connection import Connection, open_connection
from session.store.redis.orders import RedisOrders
from session.store.redis.pool import RedisPool
from session.store.redis.sessions import RedisSessions
from session.store.redis.watch import RedisWatch


@asynccontextmanager
async def open_store(
    url: str,
    *,
    namespace: str,
    keep_seconds: float,
    clock_offset: Callable[[], float] | None = None,
    unreadable: Callable[[], None] = lambda: None,
) -> AsyncIterator[RedisStore]:
    """The store at `url`; connects when it is first used, so that an absent server stops nobody from starting.

    Args:
        url: redis:// or rediss://, with the password if there is one.
        namespace: second part of every key.
        keep_seconds: how long the record of an ended session is kept.
        clock_offset: seconds by which the store's clock is moved; in tests only.
        unreadable: called once for each thing that is stored and cannot be read.

    Raises:
        ValueError: the address cannot be read.
    """
    opened = open_connection(url, namespace=namespace, clock_offset=clock_offset, unreadable=unreadable)
    async with opened as connection:
        yield RedisStore(connection, keep_seconds)


class RedisStore:
    """SessionStore, WatchStore, PoolStore, OrderStore and CircuitStore: each method is that of one part.

    Args:
        connection: over which every part asks.
        keep_seconds: how long the record of an ended session is kept.
    """

    def __init__(self, connection: Connection, keep_seconds: float) -> None:
        sessions = RedisSessions(connection, keep_seconds=keep_seconds)
        watch = RedisWatch(connection, keep_seconds=keep_seconds)
        pool = RedisPool(connection)
        orders = RedisOrders(connection)
        circuits = RedisCircuits(connection)
        self.now = sessions.now
        self.get = sessions.get
        self.get_with_time = sessions.get_with_time
        self.start = sessions.start
        self.write = sessions.write
        self.touch = sessions.touch
        self.page = sessions.page
        self.counts = sessions.counts
        self.owned = sessions.owned
        self.seats = sessions.seats
        self.say = sessions.say
        self.transcript = sessions.transcript
        self.log = sessions.log
        self.logs = sessions.logs
        self.first_time = sessions.first_time
        self.remember = sessions.remember
        self.forget = sessions.forget
        self.events = watch.events
        self.ended = watch.ended
        self.acknowledge = watch.acknowledge
        self.news = watch.news
        self.due = watch.due
        self.queue = watch.queue
        self.alive = watch.alive
        self.silent = watch.silent
        self.watch = watch.watch
        self.mend_seats = watch.mend_seats
        self.keep_checkpoint = watch.keep_checkpoint
        self.checkpoint = watch.checkpoint
        self.set_aside = watch.set_aside
        self.beat = pool.beat
        self.gone = pool.gone
        self.workers = pool.workers
        self.count_spawned = pool.count_spawned
        self.count_failures = pool.count_failures
        self.claim_refused = pool.claim_refused
        self.stats = pool.stats
        self.note = pool.note
        self.keep_note = pool.keep_note
        self.order = orders.order
        self.pool_size = orders.pool_size
        self.order_pool_size = orders.order_pool_size
        self.targets = orders.targets
        self.assign = orders.assign
        self.enter_circuit = circuits.enter_circuit
        self.report_circuit = circuits.report_circuit
        self.open_circuits = circuits.open_circuits
