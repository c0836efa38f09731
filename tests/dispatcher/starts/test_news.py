"""An answer that waits is woken by what happens to its session, and by nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from dispatcher.starts.news import News
from runtime.background import Background, keep_going
from session.errors import StoreUnavailable
from session.record import EndReason, ended
from session.store.ports import Event
from tests.pipeline.stage import until
from tests.session.making import NOON, a_session, admit
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
