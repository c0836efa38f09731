"""Keeps API keys in the store, where all dispatchers read them; key_ring.py reads, command.py writes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from dispatcher.access.keys import ApiKey, KeyFault, from_json, to_json
from session.store.redis.connection import Connection, open_connection

_log = logging.getLogger(__name__)


class KeyStore(Protocol):
    """Where keys are kept. Every method may raise StoreUnavailable."""

    async def all(self) -> Sequence[ApiKey]:
        """Every key that can be read."""

    async def put(self, key: ApiKey) -> None:
        """Keep this key."""

    async def drop(self, key_id: str) -> bool:
        """Forget the key with this id; gives whether there was one."""


class RedisKeys:
    """KeyStore over a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._key = connection.key("API_KEYS")

    async def all(self) -> Sequence[ApiKey]:
        """Every key that can be read; one that cannot opens nothing, and is logged."""
        keys: list[ApiKey] = []
        for text in await self._connection.command("HVALS", self._key):
            try:
                keys.append(from_json(text))
            except KeyFault as fault:
                _log.error("event=unreadable_key why=%r", str(fault))
        return keys

    async def put(self, key: ApiKey) -> None:
        """Keep this key."""
        await self._connection.command("HSET", self._key, key.id, to_json(key))

    async def drop(self, key_id: str) -> bool:
        """Forget the key with this id."""
        return bool(await self._connection.command("HDEL", self._key, key_id))


@asynccontextmanager
async def open_keys(url: str, *, namespace: str) -> AsyncIterator[RedisKeys]:
    """The keys in the store at `url`. Raises ValueError where the address cannot be read."""
    async with open_connection(url, namespace=namespace) as connection:
        yield RedisKeys(connection)
