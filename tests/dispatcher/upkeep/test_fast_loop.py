"""What is followed, what is looked at, and what the page is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from dispatcher.livekit.port import Participant
from runtime.background import keep_going
from session.errors import StoreUnavailable, UnreadableRecord
from session.record import Session, State, lost
from session.store.ports import Event, EventKind, update
from tests.dispatcher.house import (
    CALLER,
    House,
    a_house,
    a_watch,
    has_call,
    in_call,
    is_ready,
    recovering,
    starting,
)
from tests.session.making import NOON, a_session, a_session_in, eventually
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
DUE = Event(EventKind.DUE, "session_a")
READY = Event(EventKind.READY, "session_a")


@pytest.fixture
def house() -> House:
    return a_house()


async def test_a_lost_agent_is_replaced_and_the_page_told(house: House) -> None:
    await house.has(recovering(), CALLER)
    await house.worker()
    await a_watch(house).act(DUE)
    assert house.rooms.dispatched == [("session_a", 2)]
    assert house.rooms.told == [("session_a", CALLER.identity, "recovering")]


async def test_the_page_is_told_when_the_call_goes_on(house: House) -> None:
    await has_call(house)
    await a_watch(house).act(READY)
    assert house.rooms.told == [("session_a", CALLER.identity, "ready")]


async def test_a_page_that_waited_in_the_queue_with_its_token_is_told_when_its_agent_is_there(house: House) -> None:
    await house.has(in_call(recoveries=0, attempt=2), CALLER)
    await a_watch(house).act(READY)
    assert house.rooms.told == [("session_a", CALLER.identity, "ready")]


async def test_everybody_in_somebody_elses_room_is_told_but_no_agent(house: House) -> None:
    people = [Participant("ann"), Participant("bob"), Participant("agent-session_a-1", kind="AGENT")]
    await house.has(in_call(adopted=True), *people)
    await a_watch(house).act(READY)
    assert [who for _, who, _ in house.rooms.told] == ["ann", "bob"]


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(in_call(recoveries=0), id="a call that never lost its agent"),
        pytest.param(starting(), id="a start"),
        pytest.param(a_session_in(State.ENDED, recoveries=1), id="a call that is over"),
    ],
)
async def test_no_page_is_told_of(house: House, session: Session) -> None:
    await house.has(session, CALLER)
    await a_watch(house).act(READY)
    assert house.rooms.told == []


async def test_a_page_is_told_last_what_is_so(house: House) -> None:
    """The agent takes over while the page is still being told that it is waited for."""
    await house.has(replace(recovering(), claimable=True, attempt=2), CALLER)

    async def take_over() -> None:
        await update(house.store, "session_a", is_ready)

    house.rooms.meanwhile["participants"] = take_over
    await a_watch(house).act(READY)
    assert house.rooms.told[-1][2] == "ready"


async def test_what_cannot_be_told_is_not(house: House) -> None:
    watch = a_watch(house)
    await watch.act(Event(EventKind.READY, "session_gone"))
    await has_call(house)
    house.rooms.away = True
    await watch.act(READY)
    assert house.rooms.told == []


async def test_a_seat_that_gets_free_is_the_next_ones(house: House) -> None:
    await house.has(a_session(state=State.QUEUED, attempt=0, deadline=NOON + 30))
    await house.worker()
    await a_watch(house).act(Event(EventKind.FREED, "session_b"))
    assert (await house.session()).state is State.STARTING


async def test_a_look_sees_to_what_is_due_and_to_the_queue(house: House) -> None:
    await house.has(starting())
    await house.has(a_session("session_b", state=State.QUEUED, attempt=0, deadline=NOON + 30))
    house.clock.seconds = NOON + 3
    await house.worker()
    await a_watch(house).run()
    assert sorted(house.rooms.dispatched) == [("session_a", 2), ("session_b", 1)]


async def test_what_no_event_told_is_found_by_the_next_look(house: House) -> None:
    await house.has(recovering(), CALLER)
    await house.worker()
    await house.store.events("a dispatcher that died", wait=0.01)
    await a_watch(house).run()
    assert house.rooms.dispatched == [("session_a", 2)]


class PatchyStore(MemoryStore):
    """One of its records is of a version that is not known here."""

    unreadable = "session_x"

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        if session_id == self.unreadable:
            raise UnreadableRecord
        return await super().get_with_time(session_id)

    async def get(self, session_id: str) -> Session:
        if session_id == self.unreadable:
            raise UnreadableRecord
        return await super().get(session_id)


async def test_a_session_that_cannot_be_read_or_seen_to_holds_up_no_other() -> None:
    house = a_house(PatchyStore)
    await house.has(replace(starting(), id="session_x", room="session_x"))
    await house.has(starting())
    house.clock.seconds = NOON + 3
    await house.worker()
    await a_watch(house).run()
    assert house.rooms.dispatched == [("session_a", 2)]


class UnforeseenError(Exception):
    """Nobody foresaw this."""


async def test_a_session_whose_trouble_nobody_foresaw_holds_up_no_other(house: House) -> None:
    await house.has(starting())
    await house.has(a_session("session_b", state=State.QUEUED, attempt=0, deadline=NOON + 30))
    house.clock.seconds = NOON + 3
    await house.worker()

    async def break_down() -> None:
        raise UnforeseenError

    house.rooms.meanwhile["find"] = break_down
    await a_watch(house).run()
    assert house.rooms.dispatched == [("session_b", 1)]


async def test_a_queued_start_whose_trouble_nobody_foresaw_holds_up_no_other(house: House) -> None:
    for name in ("session_a", "session_b"):
        await house.has(a_session(name, state=State.QUEUED, attempt=0, deadline=NOON + 30))
    await house.worker()

    async def break_down() -> None:
        raise UnforeseenError

    house.rooms.meanwhile["dispatch"] = break_down
    await a_watch(house).run()
    assert house.rooms.dispatched == [("session_b", 1)]


class FlakyStore(MemoryStore):
    """Its events are away at first, then broken, and then break off again and again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.errors: list[Exception] = [UnforeseenError(), StoreUnavailable()]

    async def events(self, reader: str, *, wait: float) -> Sequence[Event]:
        if self.errors:
            raise self.errors.pop()
        return await super().events(reader, wait=wait)


@asynccontextmanager
async def following(house: House) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_going(a_watch(house).follow, "events"))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("kind", [MemoryStore, FlakyStore], ids=["at once", "after trouble"])
async def test_what_happens_is_acted_on(kind: type[MemoryStore]) -> None:
    house = a_house(kind)
    await has_call(house)
    await house.worker()
    async with following(house):
        await update(house.store, "session_a", lambda each, now: lost(each, job="job_a", now=now))

        async def replaced() -> bool:
            return (await house.session()).attempt == 2

        await eventually(replaced)


async def test_an_event_that_cannot_be_acted_on_holds_up_no_other() -> None:
    house = a_house(PatchyStore)
    await has_call(house, "session_x")
    await has_call(house)
    await house.worker()
    async with following(house):
        for name in ("session_x", "session_a"):
            await house.store.write(
                lost(replace(await MemoryStore.get(house.store, name)), job="job_a", now=NOON), op=f"lose {name}"
            )

        async def replaced() -> bool:
            return (await house.session()).attempt == 2

        await eventually(replaced)


async def test_many_that_are_due_at_once_are_all_seen_to(house: House) -> None:
    names = [f"session_{number}" for number in range(45)]
    for name in names:
        await house.has(replace(starting(tries=3), id=name, room=name))
    house.clock.seconds = NOON + 100
    with anyio.fail_after(10):
        await a_watch(house).run()
    assert (await house.store.counts())[State.ERROR] == len(names)
