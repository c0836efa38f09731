"""The stores that the contract tests run on: in memory, and in a real Valkey."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from session.record import Session
from session.store.codec import from_json
from session.store.redis.store import open_store
from tests.session.making import Opener, Store
from tests.session.memory_store import MemoryStore


@pytest.fixture(params=["memory", "redis"])
async def opened(request: pytest.FixtureRequest, valkey_url: str, namespace: str) -> AsyncIterator[Opener]:
    async with AsyncExitStack() as stack:

        async def open_(*, keep_seconds: float = 3600.0) -> Store:
            if request.param == "memory":
                return MemoryStore(time.time, keep_seconds=keep_seconds)
            return await stack.enter_async_context(
                open_store(valkey_url, namespace=namespace, keep_seconds=keep_seconds)
            )

        yield open_


@pytest.fixture
async def store(opened: Opener) -> Store:
    return await opened()


@pytest.fixture
async def outgoing(valkey_url: str, namespace: str) -> AsyncIterator[Callable[[Store], Awaitable[Sequence[Session]]]]:
    """What a store has sent out."""
    async with Redis.from_url(valkey_url, decode_responses=True) as client:

        async def read(store: Store) -> Sequence[Session]:
            if isinstance(store, MemoryStore):
                return [from_json(Session, each) for each in store.outgoing]
            entries: Any = await client.xrange(f"greenroom:{namespace}:outgoing")
            return [from_json(Session, facts["record"]) for _, facts in entries]

        yield read
