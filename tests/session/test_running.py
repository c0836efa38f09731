"""What a worker writes down of its calls, and what is read of it."""

from __future__ import annotations

import pytest

from session.running import RunningCall, calls_of, keep_calls
from tests.session.making import NOON
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

CALLS = [
    RunningCall(session_id="session_a", pid=1, since=NOON),
    RunningCall(session_id="b", pid=2, since=NOON, own_memory=7),
]


async def test_calls_are_read_as_they_were_written() -> None:
    store = MemoryStore(lambda: NOON)
    assert await calls_of(store, "a") == []
    await keep_calls(store, "a", CALLS)
    assert await calls_of(store, "a") == CALLS
    assert await calls_of(store, "b") == []


async def test_what_cannot_be_read_is_nothing() -> None:
    store = MemoryStore(lambda: NOON)
    await store.keep_note("calls of a", '[{"pid": "many"}]')
    assert await calls_of(store, "a") == []
