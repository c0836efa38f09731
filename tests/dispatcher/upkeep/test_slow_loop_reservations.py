"""What the sweep makes of rooms that a token has made, where no webhook told of them."""

import pytest

from dispatcher.livekit.port import ParticipantDetails
from dispatcher.starts.start import StartRequest
from dispatcher.upkeep.reconcile import SETTLED_SECONDS
from session.errors import SessionNotFound
from session.fence import caller_identity
from session.record import CallerPresence, EndReason, State, ended
from session.store.ports import RESERVED_SECONDS, update
from tests.dispatcher.house import a_reservations
from tests.dispatcher.upkeep.test_slow_loop import CALLER, House, a_sweep
from tests.session.making import NOON, a_session_in, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def house() -> House:
    return a_sweep()


async def a_token(house: House) -> str:
    """The room that a token reserves, whose caller has joined; no webhook has told of it."""
    await house.store.beat(a_worker(agents={"default": ()}))
    await a_reservations(house.store, house.rooms).issue(StartRequest(), ParticipantDetails())
    (room,) = house.rooms.promised
    house.rooms.joined(room)
    return room


async def test_a_room_that_a_token_has_made_is_no_stray_and_its_caller_gets_an_agent(house: House) -> None:
    room = await a_token(house)
    for _ in range(3):
        await house.sweep()
    session = await house.session(room)
    assert (session.state, session.attempt) == (State.STARTING, 1)
    assert session.deadline is not None
    assert house.rooms.deleted == []
    assert house.repaired("reservation") == 1


async def test_a_page_whose_token_came_too_late_for_a_slot_is_told_that_it_waits(house: House) -> None:
    room = await a_token(house)
    await house.store.beat(a_worker(agents={"default": ()}, active=4))
    await house.sweep()
    assert (await house.session(room)).state is State.QUEUED
    assert house.rooms.told == [(room, caller_identity(room), "queued")]


async def test_a_room_that_a_token_has_made_is_closed_once_the_token_has_run_out(house: House) -> None:
    room = await a_token(house)
    house.clock.seconds += RESERVED_SECONDS
    for _ in range(2):
        await house.sweep()
    assert house.rooms.deleted == [room]


async def test_a_room_that_a_token_has_made_after_the_end_is_closed() -> None:
    house = a_sweep(lambda now: MemoryStore(now, keep_seconds=60))
    room = await a_token(house)
    await house.sweep()
    await update(house.store, room, lambda each, now: ended(each, EndReason.STOPPED, now))
    house.clock.seconds += 60
    for _ in range(2):
        await house.sweep()
    assert house.rooms.deleted == [room]
    with pytest.raises(SessionNotFound):
        await house.session(room)


async def test_a_reserved_record_of_the_version_before_whose_caller_has_come_without_a_word_is_seen_to(
    house: House,
) -> None:
    await house.has(a_session_in(State.RESERVED))
    house.rooms.people["session_a"] = [CALLER]
    house.clock.seconds = NOON + SETTLED_SECONDS
    await house.sweep()
    session = await house.session()
    assert session.caller is CallerPresence.PRESENT
    assert session.deadline is not None
