"""Writes down which calls run in which processes of this worker, every few seconds; run.py starts it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from session.errors import StoreUnavailable
from session.running import RunningCall, keep_calls
from session.store.ports import PoolStore
from worker.host.pool import Running

CALLS_SECONDS = 5.0  # between two looks
OWN = re.compile(r"^Private_(?:Clean|Dirty):\s+(\d+) kB$", re.MULTILINE)


async def tell_calls(
    store: PoolStore, worker_id: str, running: Callable[[], Sequence[Running]], session_of: Callable[[Running], str]
) -> None:
    """Write down all calls once; while the store is away, nothing: the next look does.

    Args:
        store: where operators' questions are answered from.
        worker_id: this worker's.
        running: the processes that have a call.
        session_of: the session that a process runs.
    """
    processes = running()
    memory = await asyncio.to_thread(lambda: [own_memory(each.pid) for each in processes])
    calls = [
        RunningCall(session_id=session_of(each), pid=each.pid, since=each.since, own_memory=own)
        for each, own in zip(processes, memory, strict=True)
    ]
    try:
        await keep_calls(store, worker_id, calls)
    except StoreUnavailable:
        return  # the heartbeat says so


def own_memory(pid: int) -> int | None:
    """Bytes that the process shares with no other; None where the system doesn't tell, or the process is gone."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return None
    return sum(map(int, OWN.findall(told))) * 1024
