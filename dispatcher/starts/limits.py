"""How many starts an address and a user may make in a while, counted in the store; permit.py asks."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from limits import RateLimitItem, parse_many
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from dispatcher.errors import RateLimited
from session.errors import StoreUnavailable
from session.store.redis.connection import open_pool
from session.timing import STORE_CALL_SECONDS

OFF = "off"

Taken = Sequence[tuple[RateLimitItem, str]]
"""Which limits a start was counted by, and as whose."""


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """How often the tenant of an API key may start. `rate`: None: as often as it likes."""

    name: str
    rate: RateLimitItem | None

    @property
    def who(self) -> str:
        """As whom its starts and tokens are counted."""
        return f"key/{self.name}"


LEAST_WAIT_SECONDS = 1.0  # that are said to who is refused
SITE_BITS = 48  # of an IPv6 address: what one holder gets at most, with 65,536 networks that count alone
SITE_TIMES = 10  # the limit of one address, for a whole site


def read_rate(text: str) -> RateLimitItem | None:
    """The limit that is written as `10/minute`, `100/hour` or `5/10minutes`; None for `off`.

    Raises:
        ValueError: it is written in another way, or allows nothing.
    """
    if text == OFF:
        return None
    try:
        (rate,) = parse_many(text)
    except ValueError:
        rate = None
    if rate is None or rate.amount < 1:
        raise ValueError("must be a number of starts and a time, like 10/minute, or off")
    return rate


def site_of(address: str) -> str | None:
    """The IPv6 site of an address as `client_address` gives it; None: it has none."""
    try:
        network = ip_network(address)
    except ValueError:
        return None
    return str(network.supernet(new_prefix=SITE_BITS)) if network.version == 6 else None


class RateLimits:
    """Counts starts over all replicas, by a window that slides in the store's own clock.

    Args:
        storage: where they are counted.
        by_address: the limit of each address; None: there is none.
        by_user: the limit of each user; None: there is none.
    """

    def __init__(self, storage: Storage, *, by_address: RateLimitItem | None, by_user: RateLimitItem | None) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._by_address = by_address
        self._by_user = by_user

    async def count(self, rate: RateLimitItem, who: str) -> None:
        """Count something other than a start. Raises RateLimited when that is too many, StoreUnavailable."""
        wait = await self._hit(rate, who)
        if wait is not None:
            raise RateLimited(retry_after=wait)

    async def take(self, address: str, *, owner: str, user_id: str | None, by_key: KeyLimit | None = None) -> Taken:
        """Count a start before it is made: tested and counted in one step, so a burst gets no more than the limit.

        Args:
            address: where it comes from.
            owner: whose user it is.
            user_id: the user; None: nobody in particular.
            by_key: the limit of the API key that was used, which replaces that of the address.

        Raises:
            RateLimited: that is too many; nothing was counted.
            StoreUnavailable: the store is away.
        """
        taken: list[tuple[RateLimitItem, str]] = []
        for rate, who in self._counted(address, owner, user_id, by_key):
            wait = await self._hit(rate, who)
            if wait is not None:
                await self.give_back(taken)
                raise RateLimited(retry_after=wait)
            taken.append((rate, who))
        return taken

    async def give_back(self, taken: Taken) -> None:
        """Count as if it had never been taken: what was asked for was no new start, or was refused.

        Raises:
            StoreUnavailable: the store is away.
        """
        for rate, who in taken:
            async with _translated():
                await self._limiter.hit(rate, who, cost=-1)

    def _counted(self, address: str, owner: str, user_id: str | None, by_key: KeyLimit | None) -> Taken:
        counted: list[tuple[RateLimitItem, str]] = []
        if by_key is not None:
            if by_key.rate is not None:
                counted.append((by_key.rate, by_key.who))
        elif self._by_address is not None:
            counted.append((self._by_address, f"address/{address}"))
            if site := site_of(address):
                wider = type(self._by_address)(SITE_TIMES * self._by_address.amount, self._by_address.multiples)
                counted.append((wider, f"site/{site}"))
        if self._by_user is not None and user_id is not None:
            digest = hashlib.sha256(json.dumps([owner, user_id]).encode()).hexdigest()[:40]
            counted.append((self._by_user, f"user/{digest}"))
        return counted

    async def _hit(self, rate: RateLimitItem, who: str) -> float | None:
        """Count one; else how many seconds later one is allowed again."""
        async with _translated():
            if await self._limiter.hit(rate, who):
                return None
            stats = await self._limiter.get_window_stats(rate, who)
            wait = stats.reset_time - time.time()  # the library has added this process's time to the store's answer
            return max(LEAST_WAIT_SECONDS, wait)  # between two windows the library says that there is none


@asynccontextmanager
async def open_rate_limits(url: str, *, namespace: str, by_address: str, by_user: str) -> AsyncIterator[RateLimits]:
    """Limits that are counted in the store at `url`, with connections of their own by the store's rules.

    Args:
        url: redis:// or rediss://, with the password if there is one.
        namespace: second part of every key.
        by_address: see `read_rate`.
        by_user: see `read_rate`.

    Raises:
        ValueError: the address or a limit cannot be read.
    """
    async with open_pool(url) as pool:
        options: dict[str, Any] = {"connection_pool": pool}
        storage = RedisStorage(
            url,
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=f"greenroom:{namespace}:limits",
            **options,
        )
        yield RateLimits(storage, by_address=read_rate(by_address), by_user=read_rate(by_user))


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Whatever the store says or does not say, in time, as StoreUnavailable."""
    try:
        async with asyncio.timeout(STORE_CALL_SECONDS):
            yield
    except (StorageError, OSError, TimeoutError) as error:
        raise StoreUnavailable from error
