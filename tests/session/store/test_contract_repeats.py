"""What every store must do about starts that carry a fingerprint, in memory and in a real Valkey alike."""

import asyncio

import pytest
from redis.asyncio import Redis

from session.errors import NoCapacity, OperationReused, SessionNotFound
from session.record import EndReason, State, ended
from session.store.ports import KEYED_SECONDS, OP_SECONDS, StartResult
from session.store.redis.store import open_store
from tests.session.making import NOON, Opener, Store, a_session, admit, eventually
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


async def start(
    store: Store, session_id: str, *, asked: str = "f", seats: int = 9, user: str | None = None
) -> StartResult:
    return await store.start(a_session(session_id, user_id=user), max_seats=seats, op="k", fingerprint=asked)


async def test_the_same_start_again_answers_what_stands_even_when_all_seats_are_taken(store: Store) -> None:
    first = await start(store, "session_a")
    assert await start(store, "session_b", seats=0) == first
    assert await store.seats() == 1


async def test_of_many_at_once_one_begins(store: Store) -> None:
    done = await asyncio.gather(*(start(store, f"session_{each}") for each in range(20)))
    assert len({each.session.id for each in done}) == 1
    assert await store.seats() == 1


async def test_its_session_is_answered_as_it_is_also_once_it_is_over(store: Store) -> None:
    first = await start(store, "session_a", user="ann")
    over = await store.write(ended(first.session, EndReason.STOPPED, NOON), op="end")
    again = await start(store, "session_b", user="ann")
    assert (again.session, again.reused) == (over, False)
    assert await store.seats() == 0


async def test_the_same_operation_with_another_fingerprint_is_refused(store: Store) -> None:
    first = await start(store, "session_a")
    for _ in range(2):
        with pytest.raises(OperationReused):
            await start(store, "session_b", asked="g")
    assert await start(store, "session_c") == first
    assert await store.seats() == 1


async def test_a_session_that_was_given_back_is_the_operations_from_then_on(store: Store) -> None:
    mine = await admit(store, a_session("session_a", user_id="ann"))
    assert (await start(store, "session_b", user="ann")).reused
    await store.write(ended(mine, EndReason.STOPPED, NOON), op="end")
    again = await start(store, "session_c", user="ann")
    assert (again.session.id, again.session.state, again.reused) == ("session_a", State.ENDED, False)


async def test_a_start_that_was_refused_may_be_tried_again(store: Store) -> None:
    with pytest.raises(NoCapacity):
        await start(store, "session_a", seats=0)
    assert (await start(store, "session_b", asked="g")).session.id == "session_b"


async def test_a_session_that_is_forgotten_is_followed_by_another(opened: Opener) -> None:
    store = await opened(keep_seconds=0.05)
    first = await start(store, "session_a")
    await store.write(ended(first.session, EndReason.STOPPED, NOON), op="end")

    async def forgotten() -> bool:
        try:
            await store.get("session_a")
        except SessionNotFound:
            return True
        return False

    await eventually(forgotten)
    assert (await start(store, "session_b", asked="g")).session.id == "session_b"


async def test_it_is_known_for_a_day() -> None:
    now = [NOON]
    store = MemoryStore(lambda: now[0], keep_seconds=2 * KEYED_SECONDS)
    await start(store, "session_a")
    now[0] += KEYED_SECONDS - 1
    assert (await start(store, "session_b")).session.id == "session_a"
    now[0] += 1
    assert (await start(store, "session_b")).session.id == "session_b"


@pytest.mark.parametrize(("asked", "life"), [("f", KEYED_SECONDS), ("", OP_SECONDS)])
async def test_its_key_expires_in_the_store(valkey_url: str, namespace: str, asked: str, life: float) -> None:
    async with (
        open_store(valkey_url, namespace=namespace, keep_seconds=60) as store,
        Redis.from_url(valkey_url, decode_responses=True) as client,
    ):
        await start(store, "session_a", asked=asked)
        assert life - 10 < await client.ttl(f"greenroom:{namespace}:op:k") <= life


async def test_what_is_forgotten_is_new_again_and_what_is_remembered_is_not(store: Store) -> None:
    assert await store.first_time("one", seconds=60)
    await store.forget("one")
    assert await store.first_time("one", seconds=60)
    await store.remember("two", seconds=60)
    assert not await store.first_time("two", seconds=60)
