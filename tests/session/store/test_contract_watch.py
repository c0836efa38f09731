"""What every store must do so that no session is forgotten, in memory and in a real Valkey alike."""

import time
from dataclasses import replace

import pytest

from session.errors import SessionNotFound, Stale
from session.record import EndReason, Session, State, became_ready, claimed, dispatched, ended, lost
from session.store.ports import SILENT_SECONDS, Event, EventKind
from tests.session.making import NOON, Store, a_session, a_worker, admit, eventually

pytestmark = pytest.mark.anyio


async def told(store: Store) -> list[Event]:
    return list(await store.events("reader", wait=0.05))


async def ready(store: Store, session_id: str = "session_a") -> Session:
    session = await admit(store, a_session(session_id))
    session = await store.write(claimed(session, attempt=1, job="job_a", worker="w", now=time.time()), op="claim")
    return await store.write(became_ready(session, attempt=1, job="job_a", now=NOON, steps={}), op="ready")


async def test_a_look_gives_the_record_and_the_stores_time(store: Store) -> None:
    session = await admit(store, a_session())
    looked, now = await store.get_with_time(session.id)
    assert looked == session
    assert abs(now - time.time()) < 5
    with pytest.raises(SessionNotFound):
        await store.get_with_time("session_none")


async def test_what_is_due_comes_by_its_deadline_until_the_deadline_is_gone(store: Store) -> None:
    late = await admit(store, a_session("session_late", deadline=NOON + 1))
    await admit(store, a_session("session_later", deadline=NOON + 2))
    await admit(store, a_session("session_not", deadline=time.time() + 60))
    await admit(store, a_session("session_never"))
    assert await store.due(limit=9) == ["session_late", "session_later"]
    assert await store.due(limit=1) == ["session_late"]
    await store.write(replace(late, deadline=time.time() + 60), op="later")
    assert await store.due(limit=9) == ["session_later"]


async def test_an_ended_session_is_never_due(store: Store) -> None:
    session = await admit(store, a_session(deadline=NOON))
    await store.write(ended(session, EndReason.STOPPED, NOON), op="end")
    assert await store.due(limit=9) == []


async def test_a_session_that_expired_is_never_due(opened: object) -> None:
    store: Store = await opened(keep_seconds=0.05)  # type: ignore[operator]
    session = await admit(store, a_session())
    await store.write(replace(ended(session, EndReason.STOPPED, NOON), deadline=NOON), op="end")

    async def gone() -> bool:
        return await store.due(limit=9) == []

    await eventually(gone)


async def test_a_lost_agent_is_told_once(store: Store) -> None:
    await told(store)
    session = await ready(store)
    assert await told(store) == [Event(EventKind.READY, session.id)]
    await store.write(lost(session, job="job_a", now=NOON), op="lost")
    assert await told(store) == [Event(EventKind.DUE, session.id)]
    assert await told(store) == []


async def test_an_agent_that_took_over_is_told(store: Store) -> None:
    await told(store)
    session = await ready(store)
    await told(store)
    session = await store.write(lost(session, job="job_a", now=NOON), op="a")
    session = await store.write(dispatched(session, NOON, deadline=time.time() + 9), op="b")
    session = await store.write(claimed(session, attempt=2, job="job_b", worker="w", now=time.time()), op="c")
    await store.write(became_ready(session, attempt=2, job="job_b", now=NOON, steps={}), op="d")
    assert [event.kind for event in await told(store)] == ["due", "ready"]


async def test_a_seat_that_is_free_again_is_told(store: Store) -> None:
    await told(store)
    session = await ready(store)
    await told(store)
    await store.write(ended(session, EndReason.STOPPED, NOON), op="end")
    assert await told(store) == [Event(EventKind.FREED, session.id), Event(EventKind.OVER, session.id)]
    reserved = await admit(store, a_session("session_b", state=State.RESERVED))
    await store.write(ended(reserved, EndReason.NOT_JOINED, NOON), op="end")
    assert await told(store) == [Event(EventKind.OVER, reserved.id)]


async def test_each_event_goes_to_one_reader(store: Store) -> None:
    await told(store)
    session = await ready(store)
    await told(store)
    await store.write(lost(session, job="job_a", now=NOON), op="lost")
    first = await store.events("one", wait=0.05)
    second = await store.events("two", wait=0.05)
    assert sorted([len(first), len(second)]) == [0, 1]


async def test_the_queue_is_oldest_first(store: Store) -> None:
    for number, session_id in enumerate(["session_b", "session_c", "session_a"]):
        await admit(store, a_session(session_id, state=State.QUEUED, created_at=NOON + number))
    assert await store.queue() == ["session_b", "session_c", "session_a"]
    first = await store.get("session_b")
    await store.write(dispatched(first, NOON, deadline=NOON + 2), op="a")
    assert await store.queue() == ["session_c", "session_a"]


async def test_only_the_calls_whose_agents_say_nothing_are_silent(store: Store) -> None:
    await ready(store, "session_a")
    await ready(store, "session_b")
    assert await store.silent(60) == []

    async def silent() -> bool:
        await store.alive("session_b", attempt=1, job="job_a")
        return list(await store.silent(0.1)) == ["session_a"]

    await eventually(silent)


async def test_a_call_without_its_agent_is_not_among_the_silent(store: Store) -> None:
    session = await ready(store)
    await store.write(lost(session, job="job_a", now=NOON), op="lost")
    assert await store.silent(0) == []


async def test_a_stale_agent_learns_that_it_is(store: Store) -> None:
    session = await ready(store)
    with pytest.raises(Stale):
        await store.alive(session.id, attempt=1, job="job_b")
    with pytest.raises(Stale):
        await store.keep_checkpoint(session.id, "{}", attempt=2, job="job_a")
    with pytest.raises(Stale):
        await store.alive("session_none", attempt=1, job="job_a")
    await store.write(ended(session, EndReason.STOPPED, NOON), op="end")
    with pytest.raises(Stale):
        await store.alive(session.id, attempt=1, job="job_a")


async def test_nothing_is_concluded_for_a_window_after_nobody_watched(store: Store) -> None:
    assert 4 < await store.watch(gap=3, window=5) <= 5  # a new store: who knows for how long nobody watched
    assert 0 < await store.watch(gap=3, window=5) <= 5

    async def judges() -> bool:
        return await store.watch(gap=3, window=0) == 0

    assert not await judges()
    await store.watch(gap=-1, window=0.05)
    await eventually(judges)
    assert 4 < await store.watch(gap=-1, window=5) <= 5


async def test_the_newest_checkpoint_is_kept(store: Store) -> None:
    session = await ready(store)
    assert await store.checkpoint(session.id) is None
    await store.keep_checkpoint(session.id, '{"n": 1}', attempt=1, job="job_a")
    await store.keep_checkpoint(session.id, '{"n": 2, "text": "ça va"}', attempt=1, job="job_a")
    assert await store.checkpoint(session.id) == '{"n": 2, "text": "ça va"}'


async def test_a_checkpoint_that_was_set_aside_is_not_taken_up_again(store: Store) -> None:
    session = await ready(store)
    await store.keep_checkpoint(session.id, "?", attempt=1, job="job_a")
    await store.set_aside(session.id)
    await store.set_aside(session.id)
    assert await store.checkpoint(session.id) is None


async def test_seats_that_are_held_are_left_alone(store: Store) -> None:
    await ready(store)
    assert await store.mend_seats() == 0
    assert await store.seats() == 1


async def test_a_session_in_the_seats_keeps_its_place_there_over_a_recovery(store: Store) -> None:
    session = await ready(store)
    await store.write(lost(session, job="job_a", now=NOON), op="lost")
    assert await store.seats() == 1


async def test_a_worker_that_died_counts_as_silent_and_as_seen_lately(store: Store) -> None:
    await store.beat(a_worker("worker_a"))
    await store.beat(a_worker("worker_b"))
    await store.gone("worker_a")
    await store.gone("worker_none")
    assert [each.id for each in await store.workers(seen_within=SILENT_SECONDS - 0.5)] == ["worker_b"]
    assert [each.id for each in await store.workers(seen_within=60)] == ["worker_a", "worker_b"]
