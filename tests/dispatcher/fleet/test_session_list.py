"""Sessions are found by what operators look for, on however many pages."""

from __future__ import annotations

import pytest

from dispatcher.fleet import session_list
from dispatcher.fleet.session_list import Wanted
from session.record import State
from tests.session.making import NOON, a_session
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


async def a_store(sessions: int) -> MemoryStore:
    """With so many, one a second since noon; every other is of the shop."""
    store = MemoryStore(lambda: NOON)
    for number in range(sessions):
        session = a_session(
            f"session_{number:05}",
            created_at=NOON + number,
            state=State.READY,
            user_id=f"user_{number}",
            agent="shop" if number % 2 else "default",
            worker="worker_a" if number < 5 else "worker_b",
        )
        await store.start(session, max_seats=10_000, op=str(number))
    return store


async def everything(store: MemoryStore, wanted: Wanted, limit: int) -> tuple[list[int], int]:
    """Numbers of all that are found, and on how many pages."""
    found, cursor, pages = list[int](), None, 0
    while True:
        page = await session_list.page(store, wanted, limit=limit, cursor=cursor)
        assert len(page.sessions) <= limit
        found += [int(each.id[-5:]) for each in page.sessions]
        cursor, pages = page.cursor, pages + 1
        if cursor is None:
            return found, pages


@pytest.mark.parametrize("limit", [1, 7, 50])
async def test_what_is_looked_for_is_found_once_and_newest_first(limit: int) -> None:
    store = await a_store(100)
    assert (await everything(store, Wanted(), limit))[0] == list(range(99, -1, -1))
    assert (await everything(store, Wanted(agent="shop"), limit))[0] == list(range(99, -1, -2))
    assert (await everything(store, Wanted(worker="worker_a"), limit))[0] == [4, 3, 2, 1, 0]
    assert (await everything(store, Wanted(user_id="user_7"), limit))[0] == [7]
    assert (await everything(store, Wanted(since=NOON + 97), limit))[0] == [99, 98, 97]
    assert (await everything(store, Wanted(agent="shop", since=NOON + 96), limit))[0] == [99, 97]
    assert (await everything(store, Wanted(states=[State.ENDED], agent="shop"), limit))[0] == []


async def test_one_answer_reads_no_more_than_it_may_and_goes_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_list, "CHUNK", 10)
    monkeypatch.setattr(session_list, "MOST_READ", 50)
    store = await a_store(60)
    page = await session_list.page(store, Wanted(worker="worker_a"), limit=9, cursor=None)
    assert page.sessions == []
    assert page.cursor is not None
    assert await everything(store, Wanted(worker="worker_a"), 9) == ([4, 3, 2, 1, 0], 2)


async def test_a_cursor_of_somebody_else_is_refused() -> None:
    with pytest.raises(ValueError, match="none of ours"):
        await session_list.page(await a_store(1), Wanted(agent="shop"), limit=1, cursor="x")
