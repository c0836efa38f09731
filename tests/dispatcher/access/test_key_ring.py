import asyncio

import pytest

from dispatcher.access.key_ring import AWAY_SECONDS, FRESH_SECONDS, KeyRing
from dispatcher.access.keys import Role, new_key
from session.errors import StoreUnavailable
from tests.dispatcher.fakes import Clock
from tests.dispatcher.gates import MemoryKeys

pytestmark = pytest.mark.anyio


async def test_a_revoked_key_is_valid_for_less_than_a_second() -> None:
    clock, store = Clock(0.0), MemoryKeys()
    ring = KeyRing(store, clock=clock)
    kept, written = new_key(Role.CALLER, "shop")
    assert await ring.find(written) is None
    await store.put(kept)
    clock.seconds += FRESH_SECONDS
    assert await ring.find(written) == kept
    await store.drop(kept.id)
    clock.seconds += FRESH_SECONDS
    assert FRESH_SECONDS < 1
    assert await ring.find(written) is None
    assert not await ring.any()


async def test_the_keys_of_the_settings_are_always_valid() -> None:
    kept, written = new_key(Role.OPERATOR, "me")
    ring = KeyRing(MemoryKeys(), (kept,))
    assert await ring.find(written) == kept
    assert await ring.any()


async def test_the_store_is_read_once_for_many_requests() -> None:
    store = MemoryKeys()
    ring = KeyRing(store)
    await asyncio.gather(*(ring.any() for _ in range(50)))
    assert store.reads == 1


async def test_requests_do_not_queue_for_a_store_that_is_away() -> None:
    clock, store = Clock(0.0), MemoryKeys(away=StoreUnavailable())
    ring = KeyRing(store, clock=clock)
    answers = await asyncio.gather(*(ring.any() for _ in range(50)), return_exceptions=True)
    assert all(isinstance(each, StoreUnavailable) for each in answers)
    assert store.reads == 2  # once more at once, as the connection may have been an old one
    store.away = None
    clock.seconds += AWAY_SECONDS
    assert not await ring.any()


async def test_a_connection_that_the_stores_restart_has_closed_refuses_nobody() -> None:
    store = MemoryKeys()
    kept, written = new_key(Role.CALLER, "shop")
    await store.put(kept)
    store.fails_once = True
    assert await KeyRing(store, clock=Clock(0.0)).find(written) == kept


async def test_old_keys_are_not_believed_while_the_store_is_away() -> None:
    clock, store = Clock(0.0), MemoryKeys()
    kept, written = new_key(Role.CALLER, "shop")
    await store.put(kept)
    ring = KeyRing(store, clock=clock)
    assert await ring.find(written) == kept
    store.away = StoreUnavailable()
    clock.seconds += FRESH_SECONDS
    with pytest.raises(StoreUnavailable):
        await ring.find(written)
