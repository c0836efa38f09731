"""Sessions and workers for tests, in one line each, and waiting by polling."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import anyio

from session.record import SEATED, Session, State
from session.store.codec import from_json
from session.store.ports import Worker
from session.store.redis.store import RedisStore
from tests.session.memory_store import MemoryStore

NOON = 1_763_985_600.0


def a_session(session_id: str = "session_a", **changes: Any) -> Session:
    facts: dict[str, Any] = {"state": State.STARTING, "created_at": NOON, "since": NOON, "attempt": 1}
    return Session(id=session_id, room=session_id, **{**facts, **changes})


def a_session_in(state: State, **changes: Any) -> Session:
    """With an agent where the state says that there is one."""
    agent: dict[str, Any] = {"job": "job_a", "worker": "worker_a"} if state in SEATED else {}
    return a_session(state=state, **{**agent, **changes})


def a_worker(worker_id: str = "worker_a", **changes: Any) -> Worker:
    facts: dict[str, Any] = {"host": "here", "started_at": NOON, "slots": 4, "target": 3}
    counts = {"idle": 2, "starting": 1, "active": 0, "reads_reservations": True}
    return Worker(id=worker_id, **{**facts, **counts, **changes})


async def eventually(holds: Callable[[], Awaitable[bool]], *, seconds: float = 5.0) -> None:
    """Return as soon as it holds; fail when it does not within this many seconds."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await anyio.sleep(0.01)


Store = MemoryStore | RedisStore


def ends(store: MemoryStore) -> Counter[str]:
    """How many sessions have ended, by reason."""
    over = [from_json(Session, each) for each in store.outgoing]
    return Counter(str(each.end_reason or each.error) for each in over)


class Opener(Protocol):
    """Opens the store under test."""

    async def __call__(self, *, keep_seconds: float = 3600.0) -> Store: ...


async def admit(store: Store, session: Session, *, max_seats: int = 100) -> Session:
    result = await store.start(session, max_seats=max_seats, op=f"start {session.id}")
    assert not result.reused
    return result.session
