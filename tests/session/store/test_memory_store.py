from dataclasses import replace

import pytest

from session.errors import SessionNotFound
from session.record import EndReason, State, accepted, claimed, ended
from session.store.ports import OP_SECONDS, RESERVED_SECONDS, WORKER_SECONDS
from tests.session.making import NOON, a_session, a_worker, admit
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock, keep_seconds=100.0)


async def test_time_is_what_it_was_given(store: MemoryStore, clock: Clock) -> None:
    clock.time += 7
    assert await store.now() == NOON + 7


async def test_a_reservation_expires_unless_it_is_claimed(store: MemoryStore, clock: Clock) -> None:
    await admit(store, a_session("session_a", state=State.RESERVED))
    other = await admit(store, a_session("session_b", state=State.RESERVED))
    clock.time += RESERVED_SECONDS - 1
    await store.write(claimed(other, attempt=1, job="job_a", worker="worker_a", now=clock.time), op="a")
    assert (await store.counts())[State.RESERVED] == 1
    clock.time += 1
    with pytest.raises(SessionNotFound):
        await store.get("session_a")
    assert (await store.get("session_b")).state is State.STARTING


async def test_a_reservation_that_is_under_way_does_not_expire(store: MemoryStore, clock: Clock) -> None:
    reserved = await admit(store, a_session("session_a", state=State.RESERVED))
    await store.write(accepted(reserved, attempt=1, job="job_a", worker="worker_a", now=clock.time), op="a")
    clock.time += RESERVED_SECONDS
    assert (await store.get("session_a")).accepted == "job_a"


async def test_an_ended_session_is_kept_for_exactly_its_time(store: MemoryStore, clock: Clock) -> None:
    session = await admit(store, a_session())
    clock.time += 5000
    over = await store.write(ended(session, EndReason.STOPPED, clock.time), op="a")
    clock.time += 50
    await store.write(replace(over, tries=1), op="b")
    clock.time += 49
    assert (await store.get("session_a")).state is State.ENDED
    clock.time += 1
    with pytest.raises(SessionNotFound):
        await store.get("session_a")


async def test_a_start_is_known_again_for_a_minute(store: MemoryStore, clock: Clock) -> None:
    await store.start(a_session("session_a"), max_seats=9, op="a")
    clock.time += OP_SECONDS - 1
    assert (await store.start(a_session("session_b"), max_seats=9, op="a")).session.id == "session_a"
    clock.time += 1
    assert (await store.start(a_session("session_b"), max_seats=9, op="a")).session.id == "session_b"


async def test_a_worker_is_silent_after_exactly_its_time(store: MemoryStore, clock: Clock) -> None:
    await store.beat(a_worker("worker_a"))
    clock.time += 5
    assert [each.id for each in await store.workers(seen_within=5)] == ["worker_a"]
    assert await store.workers(seen_within=4.9) == []
    clock.time += WORKER_SECONDS
    assert await store.workers(seen_within=10_000) == []


async def test_what_is_changed_outside_does_not_change_what_is_stored(store: MemoryStore) -> None:
    metadata = {"a": 1}
    await admit(store, a_session(metadata=metadata))
    metadata["a"] = 2
    assert (await store.get("session_a")).metadata == {"a": 1}
