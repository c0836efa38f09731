"""Each end is counted once over all dispatchers, whoever wrote it, and none is lost with the one that read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from dispatcher.upkeep.ended import EndedFollower
from runtime.background import Background, keep_going
from session.record import EndReason, Session, ended
from session.store.ports import REDELIVERY_SECONDS
from session.store.redis.store import open_store
from tests.dispatcher.fakes import Clock
from tests.session.making import NOON, Store, a_session, admit, eventually
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
ENDS = 40


async def end(store: Store, session_id: str) -> None:
    """As an agent does: without the dispatcher."""
    session = await admit(store, a_session(session_id))
    await store.write(ended(session, EndReason.FINISHED, NOON), op=f"end {session_id}")


class Counted:
    """What one dispatcher has counted; fails as often as it is told."""

    def __init__(self, fails: int = 0) -> None:
        self.ends: Counter[str] = Counter()
        self.fails = fails

    async def __call__(self, session: Session) -> None:
        if self.fails:
            self.fails -= 1
            raise RuntimeError("nobody expects it")
        self.ends[session.id] += 1


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, valkey_url: str, namespace: str) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(lambda: NOON)
    else:
        async with open_store(valkey_url, namespace=namespace, keep_seconds=60) as opened:
            yield opened


async def test_two_dispatchers_count_every_end_once_between_them(store: Store) -> None:
    counts = [Counted(), Counted()]
    followers = [EndedFollower(store, "dispatchers", each) for each in counts]
    for follower in followers:
        await follower.step()
    tasks = Background("test")
    for follower in followers:
        tasks.start(keep_going(follower.step, "ended"), "ended")
    for number in range(ENDS):
        await end(store, f"session_{number}")

    async def all_counted() -> bool:
        return sum(each.ends.total() for each in counts) >= ENDS

    await eventually(all_counted)
    await tasks.close()
    assert counts[0].ends + counts[1].ends == Counter({f"session_{number}": 1 for number in range(ENDS)})


async def test_what_a_dispatcher_could_not_handle_is_handled_later_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock(NOON)
    store, counted = MemoryStore(clock), Counted(fails=1)
    follower = EndedFollower(store, "dispatchers", counted)
    await follower.step()
    tasks = Background("test")
    tasks.start(keep_going(follower.step, "ended"), "ended")
    await end(store, "session_a")

    async def failed() -> bool:
        return counted.fails == 0

    async def other() -> bool:
        return counted.ends["session_b"] == 1

    async def again() -> bool:
        return counted.ends["session_a"] == 1

    await eventually(failed)
    await end(store, "session_b")
    await eventually(other)
    clock.seconds += REDELIVERY_SECONDS
    await eventually(again)
    await tasks.close()
    assert "task=ended error=RuntimeError at " in caplog.text
