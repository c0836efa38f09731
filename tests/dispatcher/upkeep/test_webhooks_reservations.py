"""What webhooks make of rooms that a token has made."""

import pytest

from dispatcher.livekit.port import OpenRoom, Participant, ParticipantDetails, WebhookKind
from dispatcher.starts.start import StartRequest
from session.errors import SessionNotFound
from session.fence import caller_identity
from session.record import CallerPresence, State
from tests.dispatcher.upkeep.test_webhooks import House, a_house
from tests.session.making import a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def house() -> House:
    return a_house()


async def a_token(house: House) -> str:
    """The room that a token reserves, whose caller has joined."""
    await house.store.beat(a_worker(agents={"default": ()}))
    await house.webhooks.reservations.issue(StartRequest(), ParticipantDetails())
    (room,) = house.rooms.promised
    house.rooms.joined(room)
    return room


async def test_a_room_that_a_token_has_made_becomes_a_session_and_its_caller_is_there(house: House) -> None:
    name = await a_token(house)
    room = OpenRoom(name, "RM_token")
    await house.hear(WebhookKind.ROOM_STARTED, room=room)
    session = await house.store.get(name)
    assert (session.state, session.caller) == (State.STARTING, CallerPresence.ABSENT)
    await house.hear(WebhookKind.JOINED, Participant(caller_identity(name)), room=room)
    session = await house.store.get(name)
    assert (session.state, session.caller) == (State.STARTING, CallerPresence.PRESENT)
    assert house.rooms.told == house.rooms.deleted == []


async def test_a_callers_join_is_enough_where_the_rooms_own_webhook_was_lost(house: House) -> None:
    name = await a_token(house)
    await house.hear(WebhookKind.JOINED, Participant(caller_identity(name)), room=OpenRoom(name, "RM_token"))
    assert (await house.store.get(name)).caller is CallerPresence.PRESENT


async def test_a_page_whose_token_came_too_late_for_a_slot_is_told_that_it_waits(house: House) -> None:
    name = await a_token(house)
    await house.store.beat(a_worker(agents={"default": ()}, active=4))
    await house.hear(WebhookKind.JOINED, Participant(caller_identity(name)), room=OpenRoom(name, "RM_token"))
    assert (await house.store.get(name)).state is State.QUEUED
    assert house.rooms.told == [(name, caller_identity(name), "queued")]


async def test_while_livekit_cannot_be_asked_a_token_is_left_to_the_worker_and_the_sweep(house: House) -> None:
    name = await a_token(house)
    house.rooms.away = True
    await house.hear(WebhookKind.ROOM_STARTED, room=OpenRoom(name, "RM_token"))
    with pytest.raises(SessionNotFound):
        await house.store.get(name)


async def test_a_room_that_a_token_makes_after_the_end_is_closed() -> None:
    house = a_house(lambda now: MemoryStore(now, keep_seconds=60))
    name = await a_token(house)
    room = OpenRoom(name, "RM_token")
    await house.hear(WebhookKind.ROOM_STARTED, room=room)
    house.rooms.opened.clear()
    await house.hear(WebhookKind.ROOM_FINISHED, room=room)
    house.clock.seconds += 60
    house.rooms.joined(name)
    await house.hear(WebhookKind.ROOM_STARTED, room=room)
    assert house.rooms.opened == []
    with pytest.raises(SessionNotFound):
        await house.store.get(name)
