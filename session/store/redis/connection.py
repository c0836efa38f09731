"""One connection pool to Valkey or Redis, and the scripts run over it; the only importer of the driver.

A call takes STORE_CALL_SECONDS at most, whatever has happened to the server, and is never sent twice: the scripts know
a repeated operation, and the caller decides whether to repeat one. Errors of the driver end here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from session.errors import StoreUnavailable
from session.store.redis.scripts import KEYS, script
from session.store.redis.unreadable import Unreadable
from session.timing import STORE_CALL_SECONDS, STORE_SOCKET_SECONDS

CONNECTIONS = 20  # of one process; a call holds one for less than a millisecond, and three readers of streams one each


@asynccontextmanager
async def open_pool(url: str) -> AsyncIterator[BlockingConnectionPool]:
    """Connections to the server at `url`, for whoever keeps things there: nothing is sent twice, nothing waits long.

    Raises:
        ValueError: the address cannot be read; it is not shown, since it may hold a password.
    """
    try:
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=STORE_SOCKET_SECONDS,
            socket_timeout=STORE_SOCKET_SECONDS,
            socket_connect_timeout=STORE_SOCKET_SECONDS,
            decode_responses=True,
            encoding_errors="replace",  # ours is ASCII: what is not cannot be read, and says so as UnreadableRecord
            retry=Retry(NoBackoff(), 0),
            driver_info=None,  # else each connection looks up the driver's version on the disk, and tells the server
        )
    except ValueError:
        raise ValueError("the store's address (REDIS_URL) cannot be read") from None
    try:
        yield pool
    finally:
        await pool.aclose()


@asynccontextmanager
async def open_connection(
    url: str,
    *,
    namespace: str,
    clock_offset: Callable[[], float] | None = None,
    unreadable: Callable[[], None] = lambda: None,
) -> AsyncIterator[Connection]:
    """A connection to the server at `url`, with arguments as Connection has them. Raises ValueError as `open_pool`."""
    async with open_pool(url) as pool:
        client = Redis(connection_pool=pool)
        try:
            yield Connection(client, Unreadable(unreadable), namespace=namespace, clock_offset=clock_offset)
        finally:
            await client.aclose()


class Connection:
    """What every part of the store asks through.

    Args:
        client: the driver's.
        unreadable: is told of what cannot be read.
        namespace: second part of every key.
        clock_offset: seconds by which the store's clock is moved; in tests only.
    """

    def __init__(
        self,
        client: Redis,
        unreadable: Unreadable,
        *,
        namespace: str,
        clock_offset: Callable[[], float] | None = None,
    ) -> None:
        self._client = client
        self.unreadable = unreadable
        self._prefix = f"greenroom:{namespace}:"
        self._clock_offset = clock_offset
        self._scripts: dict[str, Any] = {}

    def key(self, name: str, end: str = "") -> str:
        """The whole key of this name in KEYS."""
        return f"{self._prefix}{KEYS[name]}{end}"

    async def now(self) -> float:
        """Unix seconds of the server's clock."""
        seconds, micros = await self.command("TIME")
        return float(seconds) + float(micros) / 1e6 + (self._clock_offset() if self._clock_offset else 0.0)

    async def command(self, *words: Any) -> Any:
        """One command of the server. Raises StoreUnavailable."""
        async with translated():
            return await self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def run(self, name: str, **arguments: Any) -> Any:
        """Run the script of this name. Raises StoreUnavailable."""
        prepared = self._scripts.get(name) or self._scripts.setdefault(name, self._client.register_script(script(name)))
        if self._clock_offset is not None:
            arguments["clock_offset"] = repr(self._clock_offset())
        flat = [part for pair in arguments.items() for part in pair]
        async with translated():
            return await prepared(keys=[self._prefix], args=flat)


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Whatever the driver or the server (busy, loading, full, read-only) says, in time, as StoreUnavailable.

    A deadline that ends a `wait_for` of the driver at the very moment when it is done comes out as a cancellation where
    Pipecat has put wait_for2 in its place (Python 3.11). If nobody cancelled this task, that is what it was. If
    somebody did, it is handed on as a plain one: the `asyncio.timeout` it came from does not recognise wait_for2's own.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        async with asyncio.timeout(STORE_CALL_SECONDS):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable from error
    except asyncio.CancelledError as error:
        if task is None or task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise StoreUnavailable from error
