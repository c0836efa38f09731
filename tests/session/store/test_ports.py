from dataclasses import replace

import pytest

from session.errors import Conflict, NoCapacity, Stale
from session.record import Session, State, dispatched
from session.store.ports import UPDATE_TRIES, update
from tests.session.making import NOON, a_session, admit
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


class Contended(MemoryStore):
    """Somebody else writes between each reading and the write that follows, this many times."""

    def __init__(self, times: int) -> None:
        super().__init__(lambda: NOON)
        self.left = times

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        session, now = await super().get_with_time(session_id)
        if self.left > 0:
            self.left -= 1
            await self.write(replace(session, recoveries=session.recoveries + 1), op=f"theirs {self.left}")
        return session, now


def one_more_try(session: Session, now: float) -> Session:
    assert now == NOON
    return replace(session, tries=session.tries + 1)


async def test_an_update_loses_nothing_of_what_others_write() -> None:
    store = Contended(UPDATE_TRIES - 1)
    await admit(store, a_session())
    changed = await update(store, "session_a", one_more_try)
    assert (changed.tries, changed.recoveries) == (1, UPDATE_TRIES - 1)


async def test_an_update_gives_up_when_the_record_never_holds_still() -> None:
    store = Contended(10 * UPDATE_TRIES)
    await admit(store, a_session())
    with pytest.raises(Conflict):
        await update(store, "session_a", one_more_try)
    assert store.left == 9 * UPDATE_TRIES


async def test_an_update_that_changes_nothing_writes_nothing() -> None:
    store = MemoryStore(lambda: NOON)
    session = await admit(store, a_session())
    assert await update(store, "session_a", lambda found, now: found) == session
    assert (await store.get("session_a")).rev == session.rev


async def test_an_update_that_is_refused_writes_nothing() -> None:
    store = MemoryStore(lambda: NOON)
    session = await admit(store, a_session(state=State.QUEUED))
    with pytest.raises(Stale):
        await update(store, "session_a", lambda found, now: found.fenced(1, "job_a"))
    with pytest.raises(NoCapacity):
        await update(store, "session_a", lambda each, now: dispatched(each, now, deadline=now), max_seats=0)
    assert await store.get("session_a") == session
