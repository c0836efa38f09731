"""The calls that a worker runs, as it writes them down for operators; the worker writes, the dispatcher's API reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from session.store.ports import PoolStore


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCall:
    """One call. `since`: Unix seconds; `own_memory`: bytes that no other process shares, None where it isn't known."""

    session_id: str
    pid: int
    since: float
    own_memory: int | None = None


_CALLS = TypeAdapter(list[RunningCall])


async def keep_calls(store: PoolStore, worker_id: str, calls: Sequence[RunningCall]) -> None:
    """Write down all that the worker runs now. Raises StoreUnavailable."""
    await store.keep_note(_name(worker_id), _CALLS.dump_json(list(calls)).decode())


async def calls_of(store: PoolStore, worker_id: str) -> Sequence[RunningCall]:
    """What the worker wrote down last; what cannot be read counts as nothing. Raises StoreUnavailable."""
    note = await store.note(_name(worker_id))
    try:
        return _CALLS.validate_json(note or "[]")
    except ValidationError:
        return []


def _name(worker_id: str) -> str:
    return f"calls of {worker_id}"
