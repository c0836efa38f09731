"""Ends and news reach those that read them, in memory and in a real Valkey alike."""

import pytest

from session.record import EndReason, ErrorReason, ended, failed
from session.store.ports import Event, EventKind
from tests.session.making import NOON, Store, a_session, admit

pytestmark = pytest.mark.anyio
WAIT = 0.05


async def end(store: Store, session_id: str) -> None:
    session = await admit(store, a_session(session_id))
    await store.write(ended(session, EndReason.STOPPED, NOON), op=f"end {session_id}")


async def read(store: Store, group: str, reader: str) -> list[str]:
    found = await store.ended(group, reader, wait=WAIT)
    await store.acknowledge(group, found)
    return [each.session.id for each in found]


async def test_each_end_goes_to_one_reader_of_a_group_and_to_every_group(store: Store) -> None:
    for group in ("metrics", "records"):
        assert await read(store, group, "one") == []
    for number in range(6):
        await end(store, f"session_{number}")
    both = [*await read(store, "metrics", "one"), *await read(store, "metrics", "other")]
    assert sorted(both) == [f"session_{number}" for number in range(6)]
    assert sorted(await read(store, "records", "one")) == sorted(both)
    assert await read(store, "metrics", "one") == []


async def test_an_end_is_told_once_with_its_reason(store: Store) -> None:
    await read(store, "metrics", "one")
    session = await admit(store, a_session())
    over = await store.write(failed(session, ErrorReason.LOST, NOON), op="end")
    await store.write(over, op="again")
    (found,) = await store.ended("metrics", "one", wait=WAIT)
    assert found.session.error is ErrorReason.LOST


async def test_a_new_group_begins_with_the_next_end(store: Store) -> None:
    await end(store, "session_before")
    assert await read(store, "metrics", "one") == []
    await end(store, "session_after")
    assert await read(store, "metrics", "one") == ["session_after"]


async def test_news_reach_every_reader_from_where_it_was(store: Store) -> None:
    first, _ = await store.news(None, wait=WAIT)
    other, _ = await store.news(None, wait=WAIT)
    await end(store, "session_a")
    told = [Event(EventKind.FREED, "session_a"), Event(EventKind.OVER, "session_a")]
    place, events = await store.news(first, wait=WAIT)
    assert list(events) == told
    assert list((await store.news(other, wait=WAIT))[1]) == told
    assert list((await store.news(place, wait=WAIT))[1]) == []


async def test_news_are_those_after_the_reader_began(store: Store) -> None:
    await end(store, "session_before")
    assert list((await store.news(None, wait=WAIT))[1]) == []
