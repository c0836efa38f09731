"""An answer that waits is woken by what happens to its session, and by nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from dispatcher.starts.news import News
from dispatcher.starts.start import POLL_SECONDS, StartRequest
from runtime.background import Background, keep_going
from session.errors import StoreUnavailable
from session.record import EndReason, ErrorReason, Session, ended, failed
from session.store.ports import Event, update
from tests.dispatcher.fakes import FakeRooms
from tests.dispatcher.house import a_starts, is_ready
from tests.pipeline.stage import until
from tests.session.making import NOON, a_session, a_worker, admit
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


class ShakyStore(MemoryStore):
    """Is away, and then broken, before it gives any news."""

    def __init__(self) -> None:
        super().__init__(lambda: NOON)
        self.errors: list[Exception] = [RuntimeError("nobody expects it"), StoreUnavailable()]

    async def news(self, after: str | None, *, wait: float) -> tuple[str, Sequence[Event]]:
        if self.errors:
            raise self.errors.pop()
        return await super().news(after, wait=wait)


@pytest.mark.parametrize("kind", [lambda: MemoryStore(lambda: NOON), ShakyStore], ids=["at once", "after trouble"])
async def test_what_happens_to_a_session_wakes_those_that_wait_for_it(kind: Callable[[], MemoryStore]) -> None:
    store = kind()
    news, tasks = News(store), Background("test")
    session = await admit(store, a_session())
    await admit(store, a_session("session_b"))
    with news.of("session_a") as one, news.of("session_a") as two, news.of("session_b") as other:
        tasks.start(keep_going(news.step, "news"), "news")
        await until(lambda: news._place is not None, "the news are read")
        await store.write(ended(session, EndReason.STOPPED, NOON), op="end")
        async with asyncio.timeout(5):
            await one.wait()
            await two.wait()
        assert not other.is_set()
    await tasks.close()
    assert news._waiters == {}


def fails(session: Session, now: float) -> Session:
    return failed(session, ErrorReason.CONNECT_FAILED, now)


@pytest.mark.parametrize("change", [is_ready, fails], ids=["ready", "over"])
async def test_an_answer_that_waits_comes_at_once_when_its_session_is(change: Callable[..., Session]) -> None:
    store, tasks, took = MemoryStore(time.time), Background("test"), []
    starts = a_starts(store, FakeRooms(), max_seats=9)
    tasks.start(keep_going(starts.news.step, "news"), "news")
    await until(lambda: starts.news._place is not None, "the news are read")
    for _ in range(3):  # the fastest counts: the machine may be busy
        await store.beat(a_worker(slots=9, agents={"default": ()}))
        answer = tasks.start(starts.start(StartRequest(), wait_ms=60_000), "answer")
        await until(lambda: bool(starts.news._waiters), "the answer waits")
        (session_id,) = starts.news._waiters
        await asyncio.sleep(0.05)  # for its first look
        after = await update(store, session_id, change)
        began = time.monotonic()
        assert (await answer).session.state is after.state
        took.append(time.monotonic() - began)
    await tasks.close()
    assert min(took) < POLL_SECONDS / 4
