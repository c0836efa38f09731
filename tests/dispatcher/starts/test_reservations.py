from dataclasses import dataclass
from typing import Any

import pytest

from dispatcher.errors import ConfigNotAllowed, TokenTooLarge, UnknownAgent
from dispatcher.livekit.port import ParticipantDetails
from dispatcher.livekit.rooms import open_rooms
from dispatcher.starts.queue import StartQueue
from dispatcher.starts.reservations import FRONT_END_BYTES, RESERVATION_BYTES, TOKEN_BYTES, Reservations
from dispatcher.starts.start import StartRequest
from session.errors import NoCapacity, NoWorker, SessionNotFound, Stale
from session.fence import Ticket, read_ticket
from session.record import EndReason, ErrorReason, Session, State, accepted, ended
from session.reservation import Reservation
from session.settings import CallLimits, Connections
from session.store.ports import RESERVED_SECONDS, SILENT_SECONDS, WORKER_SECONDS, update
from tests.dispatcher.fakes import Clock, FakeRooms, Timers
from tests.dispatcher.house import House, a_house, a_reservations, a_starts
from tests.session.making import NOON, a_session, a_session_in, a_worker, admit
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
MAX_BOTS = 2
CLAIM_SECONDS = 3.0
QUEUE_SECONDS = 20.0
FULL: dict[str, Any] = {"active": 4, "slots": 4}
NOBODY = ParticipantDetails()


@dataclass
class Stage:
    """Reservations with MAX_BOTS seats over a store, rooms and one worker with 4 slots."""

    clock: Clock
    store: MemoryStore
    rooms: FakeRooms
    timers: Timers
    reservations: Reservations

    async def worker(self, **changes: Any) -> None:
        await self.store.beat(a_worker("worker_a", **{"agents": {"default": ("prompt",)}, **changes}))

    async def issue(self, wish: StartRequest | None = None, **front_end: Any) -> Ticket:
        """The ticket in a new token."""
        await self.reservations.issue(wish or StartRequest(), ParticipantDetails(**front_end))
        ticket = read_ticket(list(self.rooms.promised.values())[-1])
        assert ticket is not None
        return ticket

    async def take_up(self, ticket: Ticket) -> Session | None:
        return await self.reservations.take_up(ticket.session_id, [ticket.to_json()], by="room_started")

    async def count(self) -> int:
        return len((await self.store.page(set(State), limit=100)).sessions)


@pytest.fixture
async def stage() -> Stage:
    clock, rooms, timers = Clock(NOON), FakeRooms(), Timers()
    store = MemoryStore(clock)
    reservations = a_reservations(
        store, rooms, max_seats=MAX_BOTS, claim_seconds=CLAIM_SECONDS, queue_seconds=QUEUE_SECONDS, timers=timers
    )
    made = Stage(clock, store, rooms, timers, reservations)
    await made.worker()
    return made


# The token


async def test_a_token_carries_its_session_and_leaves_nothing_behind(stage: Stage) -> None:
    wish = StartRequest(user_name="Ann", metadata={"a": 1}, config={"prompt": "Hi"})
    ticket = await stage.issue(wish)
    assert ticket.attempt == 1
    assert ticket.reservation == Reservation(at=NOON, user_name="Ann", metadata={"a": 1}, config={"prompt": "Hi"})
    assert await stage.count() == 0
    assert stage.rooms.calls == stage.timers.set == []


async def test_no_token_is_given_for_what_could_not_be_served_now(stage: Stage) -> None:
    await stage.worker(**FULL)
    with pytest.raises(NoCapacity):
        await stage.issue()
    await stage.worker(slots=0)
    with pytest.raises(NoWorker):
        await stage.issue()
    await stage.worker(draining=True)
    with pytest.raises(NoWorker):
        await stage.issue()
    stage.clock.seconds += SILENT_SECONDS
    with pytest.raises(NoWorker):
        await stage.issue()
    stage.clock.seconds += WORKER_SECONDS
    with pytest.raises(NoWorker):
        await stage.issue()
    assert stage.rooms.promised == {}


async def test_no_token_is_given_while_max_bots_are_reached(stage: Stage) -> None:
    for number in range(MAX_BOTS):
        await admit(stage.store, a_session(f"session_{number}"))
    with pytest.raises(NoCapacity):
        await stage.issue()


async def test_no_token_is_given_right_after_the_last_slot_was_promised_whatever_the_heartbeat_says(
    stage: Stage,
) -> None:
    await stage.worker(slots=1)
    await a_starts(stage.store, stage.rooms, max_seats=MAX_BOTS).start(StartRequest(), wait_ms=0)
    with pytest.raises(NoCapacity):
        await stage.issue()


async def test_no_token_is_given_while_others_wait(stage: Stage) -> None:
    await admit(stage.store, a_session_in(State.QUEUED))
    with pytest.raises(NoCapacity):
        await stage.issue()


async def test_a_token_is_checked_as_a_start_is(stage: Stage) -> None:
    with pytest.raises(UnknownAgent):
        await stage.issue(StartRequest(agent="unknown"))
    with pytest.raises(ConfigNotAllowed):
        await stage.issue(StartRequest(config={"voice": "low"}))


@pytest.mark.parametrize(
    ("wish", "front_end", "named"),
    [
        (StartRequest(metadata={"a": "x" * RESERVATION_BYTES}), {}, "room_config.agents[0].metadata"),
        (StartRequest(metadata={"a": "\U0001f600" * (RESERVATION_BYTES // 12)}), {}, "room_config.agents[0].metadata"),
        (StartRequest(user_name="\U0001f600" * 256), {"name": "\U0001f600" * 256}, "participant_name"),
        (StartRequest(), {"metadata": "x" * FRONT_END_BYTES}, "participant_metadata"),
        (StartRequest(), {"attributes": {"a": "x" * 70_000}}, "participant_attributes"),
        (StartRequest(), {"name": "x" * FRONT_END_BYTES}, "participant_name"),
    ],
)
async def test_what_is_too_long_for_a_token_is_named(
    stage: Stage, wish: StartRequest, front_end: dict[str, Any], named: str
) -> None:
    with pytest.raises(TokenTooLarge) as caught:
        await stage.issue(wish, **front_end)
    assert str(caught.value).startswith(f"{named} is too long: ")
    assert stage.rooms.promised == {}


async def test_the_longest_that_fits_does(stage: Stage) -> None:
    rest = RESERVATION_BYTES - len(Ticket("session_" + "a" * 32, 1, Reservation(at=NOON, metadata={"a": ""})).to_json())
    ticket = await stage.issue(StartRequest(metadata={"a": "x" * rest}))
    assert len(ticket.to_json()) == RESERVATION_BYTES
    with pytest.raises(TokenTooLarge):
        await stage.issue(StartRequest(metadata={"a": "x" * (rest + 1)}))


async def test_a_token_with_all_that_it_may_carry_is_short_enough() -> None:
    values: dict[str, Any] = {"livekit_api_key": "key", "livekit_api_secret": "0123456789abcdef0123456789abcdef"}
    connections = Connections(_env_file=None, **values)
    bare = Ticket("session_" + "a" * 32, 1, Reservation(at=NOON, metadata={"a": ""}))
    facts = {"a": "x" * (RESERVATION_BYTES - len(bare.to_json()))}
    ticket = Ticket(bare.session_id, 1, Reservation(at=NOON, metadata=facts))
    front_end = ParticipantDetails(name="Ann", attributes={"from": "x" * (FRONT_END_BYTES - 30)})
    async with open_rooms(connections, CallLimits(_env_file=None), callers_url="ws://callers") as rooms:
        assert len(rooms.reserved_token(ticket, front_end, deployment="green")) <= TOKEN_BYTES


class LongRooms(FakeRooms):
    """Their tokens are longer than what is in them."""

    def reserved_token(self, ticket: Ticket, front_end: ParticipantDetails, *, deployment: str) -> str:
        return "x" * (TOKEN_BYTES + 1)


async def test_a_token_that_grew_too_long_in_its_making_is_refused_as_well(stage: Stage) -> None:
    with pytest.raises(TokenTooLarge, match="participant_metadata is too long: the token"):
        await a_reservations(stage.store, LongRooms()).issue(StartRequest(), ParticipantDetails(metadata="vip"))


async def test_while_a_worker_of_before_lives_the_session_is_recorded_as_it_was_then(stage: Stage) -> None:
    await stage.store.beat(a_worker("worker_b", reads_reservations=False))
    ticket = await stage.issue(StartRequest(metadata={"a": 1}))
    assert ticket == Ticket(ticket.session_id, 1)
    session = await stage.store.get(ticket.session_id)
    assert (session.state, session.attempt, session.tries, session.metadata) == (State.RESERVED, 1, 1, {"a": 1})
    assert session.deadline is None
    assert await stage.store.seats() == 0
    await stage.store.beat(a_worker("worker_b", reads_reservations=False, left=True))
    assert (await stage.issue()).reservation is not None


# Its session


async def test_the_session_begins_with_its_caller(stage: Stage) -> None:
    ticket = await stage.issue(StartRequest(user_name="Ann"))
    stage.clock.seconds += 1
    session = await stage.take_up(ticket)
    assert session is not None
    assert session == await stage.store.get(ticket.session_id)
    assert (session.state, session.attempt, session.tries, session.user_name) == (State.STARTING, 1, 1, "Ann")
    assert (session.created_at, session.deadline) == (NOON + 1, NOON + 1 + CLAIM_SECONDS)
    assert session.prewarmed
    assert await stage.store.seats() == 1
    assert stage.timers.set == [(session.id, CLAIM_SECONDS)]
    [line] = await stage.store.logs(session.id, limit=9)
    assert (line["event"], line["by"]) == ("starting", "room_started")


async def test_whoever_meets_it_second_finds_it_as_it_stands(stage: Stage) -> None:
    ticket = await stage.issue()
    first = await stage.take_up(ticket)
    assert first is not None
    after = await stage.store.write(accepted(first, attempt=1, job="job_a", worker="worker_a", now=NOON), op="accepted")
    assert await stage.take_up(ticket) == after
    assert await stage.count() == await stage.store.seats() == 1
    assert len(await stage.store.logs(first.id, limit=9)) == 1


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(FULL, id="every slot is taken"),
        pytest.param({"slots": 0}, id="its worker is not warm"),
        pytest.param({"left": True}, id="its worker has left"),
        pytest.param({"agents": {"shop": ()}}, id="nobody has its agent"),
    ],
)
async def test_a_caller_for_whom_there_is_no_slot_waits_in_the_queue(stage: Stage, now: dict[str, Any]) -> None:
    ticket = await stage.issue()
    await stage.worker(**now)
    session = await stage.take_up(ticket)
    assert session is not None
    assert (session.state, session.deadline) == (State.QUEUED, NOON + QUEUE_SECONDS)
    assert await stage.store.queue() == [session.id]
    assert await stage.store.seats() == 0
    with pytest.raises(Stale):  # the job that LiveKit offers by itself: the queue is not jumped
        accepted(session, attempt=1, job="job_a", worker="worker_a", now=NOON)


async def test_a_caller_waits_behind_those_who_wait_already_and_for_a_seat(stage: Stage) -> None:
    tickets = [await stage.issue() for _ in range(4)]
    states = [session.state for each in tickets if (session := await stage.take_up(each)) is not None]
    assert states == [State.STARTING] * MAX_BOTS + [State.QUEUED] * 2


@pytest.mark.parametrize("now", [pytest.param({}, id="a slot is free"), pytest.param(FULL, id="all slots are taken")])
async def test_of_tokens_got_ahead_no_more_are_used_than_their_owner_may_have_sessions(
    stage: Stage, now: dict[str, Any]
) -> None:
    wish = StartRequest(owner="key:shop", max_owned=1)
    first, second = await stage.issue(wish), await stage.issue(wish)
    assert first.reservation is not None
    assert first.reservation.max_owned == 1
    await stage.worker(**now)
    await stage.take_up(first)
    refused = await stage.take_up(second)
    assert refused is not None
    assert (refused.state, refused.error) == (State.ERROR, ErrorReason.NO_CAPACITY)
    assert stage.rooms.deleted == [second.session_id]
    assert "too_many_sessions" in [line["event"] for line in await stage.store.logs(second.session_id, limit=9)]
    assert await stage.store.owned("key:shop") == 1


async def test_a_caller_waits_while_no_worker_lives_at_all(stage: Stage) -> None:
    ticket = await stage.issue()
    stage.clock.seconds += WORKER_SECONDS + 1
    session = await stage.take_up(ticket)
    assert session is not None
    assert session.state is State.QUEUED


@pytest.fixture
def house() -> House:
    return a_house()


def _queue(house: House) -> tuple[Reservations, StartQueue]:
    reservations = a_reservations(house.store, house.rooms, queue_seconds=QUEUE_SECONDS)
    return reservations, StartQueue(house.store, house.attempts, 9)


async def test_who_waited_gets_the_next_free_slot_by_a_dispatch_of_its_own(house: House) -> None:
    reservations, queue = _queue(house)
    await house.worker()
    await reservations.issue(StartRequest(), NOBODY)
    (room,) = house.rooms.promised
    await house.worker(**FULL)
    house.rooms.joined(room)
    await reservations.take_up(room, await house.rooms.asked_for(room), by="sweep")
    await house.worker()
    await queue.advance()
    session = await house.session(room)
    assert (session.state, session.attempt, session.claimable) == (State.STARTING, 2, True)
    assert house.rooms.dispatched == [(room, 2)]


async def test_who_waited_too_long_is_told_why_and_its_room_is_closed(house: House) -> None:
    reservations, queue = _queue(house)
    await house.worker()
    await reservations.issue(StartRequest(), NOBODY)
    (room,) = house.rooms.promised
    house.rooms.joined(room)
    await house.worker(**FULL)
    await reservations.take_up(room, await house.rooms.asked_for(room), by="sweep")
    house.clock.seconds += QUEUE_SECONDS
    await house.worker(**FULL)
    await queue.advance()
    session = await house.session(room)
    assert (session.state, session.error) == (State.ERROR, ErrorReason.NO_CAPACITY)
    assert house.rooms.deleted == [room]


async def test_nothing_begins_where_nothing_was_reserved_for_this_room(stage: Stage) -> None:
    ticket = await stage.issue()
    asked = ["", "{", '{"agent": "shop"}', Ticket("session_a", 1).to_json(), ticket.to_json()]
    assert await stage.reservations.take_up("session_a", asked, by="sweep") is None
    assert await stage.count() == 0


async def test_a_reservation_is_found_among_other_dispatches(stage: Stage) -> None:
    ticket = await stage.issue()
    asked = [Ticket(ticket.session_id, 2).to_json(), "{", ticket.to_json()]
    session = await stage.reservations.take_up(ticket.session_id, asked, by="sweep")
    assert session is not None


async def test_a_token_that_has_run_out_begins_nothing(stage: Stage) -> None:
    ticket = await stage.issue()
    stage.clock.seconds += RESERVED_SECONDS
    assert await stage.take_up(ticket) is None
    assert await stage.count() == 0


@pytest.mark.parametrize("keep_seconds", [60.0, 86400.0])
async def test_a_token_that_is_used_again_after_the_end_begins_nothing(keep_seconds: float) -> None:
    clock = Clock(NOON)
    store = MemoryStore(clock, keep_seconds=keep_seconds)
    rooms = FakeRooms()
    stage = Stage(clock, store, rooms, Timers(), a_reservations(store, rooms))
    await stage.worker()
    ticket = await stage.issue()
    await stage.take_up(ticket)
    await update(store, ticket.session_id, lambda each, now: ended(each, EndReason.STOPPED, now))
    clock.seconds += 400
    if keep_seconds < 400:
        with pytest.raises(SessionNotFound):
            await stage.take_up(ticket)
    else:
        session = await stage.take_up(ticket)
        assert session is not None
        assert session.state is State.ENDED
    assert await store.seats() == 0
