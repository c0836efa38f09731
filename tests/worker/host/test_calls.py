"""The calls of a worker reach the store, with the memory of their processes."""

from __future__ import annotations

import mmap
import os
import sys

import pytest

from session.errors import StoreUnavailable
from session.running import calls_of
from tests.session.making import NOON
from tests.session.memory_store import MemoryStore
from worker.host.calls import own_memory, tell_calls
from worker.host.pool import Running

pytestmark = pytest.mark.anyio

TAKEN = 30_000_000  # bytes


class AwayStore(MemoryStore):
    """Cannot be written to."""

    async def keep_note(self, name: str, text: str) -> None:
        raise StoreUnavailable


async def test_each_call_is_written_down() -> None:
    store = MemoryStore(lambda: NOON)
    busy = [Running("job_a", os.getpid(), NOON), Running("job_b", 2**22 + 1, NOON + 1)]
    await tell_calls(store, "worker_a", lambda: busy, lambda each: f"session of {each.job}")
    first, second = await calls_of(store, "worker_a")
    assert (first.session_id, first.pid, first.since) == ("session of job_a", os.getpid(), NOON)
    assert (second.session_id, second.own_memory) == ("session of job_b", None)  # its process is gone


async def test_a_store_that_is_away_is_no_failure() -> None:
    await tell_calls(AwayStore(lambda: NOON), "worker_a", list, lambda each: "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_memory_of_its_own_is_counted() -> None:
    before = own_memory(os.getpid())
    # Of its own mapping: what the heap gives may have been this process's before.
    with mmap.mmap(-1, TAKEN, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as taken:
        for page in range(0, TAKEN, mmap.PAGESIZE):
            taken[page] = 1
        after = own_memory(os.getpid())
    assert before is not None
    assert after is not None
    assert 0.5 * TAKEN < after - before < 3 * TAKEN
