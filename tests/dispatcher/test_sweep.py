from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.expiry import SLACK_SECONDS
from dispatcher.metrics import Metrics
from dispatcher.ports import OpenRoom, Participant
from dispatcher.sweep import GOODBYE_SECONDS, PAGE, Sweep
from session.dispatch import adopted_session_id, agent_identity, caller_identity
from session.errors import StoreUnavailable
from session.memory_store import MemoryStore
from session.model import Caller, EndReason, ErrorReason, Session, State, ended
from session.settings import CallLimits
from session.store import Page, update
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.session.making import NOON, a_session, a_session_in, admit

SECRET = "0123456789abcdef0123456789abcdef"
CALLER = Participant(caller_identity("session_a"))
JOIN_SECONDS = 300.0
TOO_LATE = NOON + JOIN_SECONDS + SLACK_SECONDS


class CrowdedRooms(FakeRooms):
    """Somebody writes the session while the server is asked who is there."""

    store: MemoryStore

    async def participants(self, room: str) -> Collection[Participant]:
        await update(self.store, room, lambda each, now: replace(each, caller=Caller.PRESENT, caller_since=now))
        return await super().participants(room)


class LostStore(MemoryStore):
    """Its lists do not answer."""

    async def page(self, states: Collection[State], *, limit: int, cursor: str | None = None) -> Page:
        raise StoreUnavailable


@dataclass
class House:
    clock: Clock
    store: MemoryStore
    rooms: FakeRooms
    registry: CollectorRegistry

    async def sweep(self) -> None:
        limits = CallLimits(_env_file=None, join_seconds=JOIN_SECONDS, max_session_seconds=None)
        await Sweep(self.store, self.rooms, limits, self.metrics, SECRET).run()

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.registry)

    async def has(self, session: Session) -> Session:
        """Admit this session and open its room."""
        await self.rooms.create(session)
        return await admit(self.store, session, max_seats=10_000)

    async def session(self, session_id: str = "session_a") -> Session:
        return await self.store.get(session_id)

    def ends(self, reason: str) -> float | None:
        return self.registry.get_sample_value("greenroom_sessions_ended_total", {"reason": reason})


def _house(kind: type[MemoryStore] = MemoryStore, rooms: FakeRooms | None = None) -> House:
    clock = Clock(NOON)
    return House(clock, kind(clock), rooms or FakeRooms(), CollectorRegistry())


@pytest.fixture
def house() -> House:
    return _house()


def ready(**changes: Any) -> Session:
    return a_session_in(State.READY, **{"ready_at": NOON, "last_active": NOON, **changes})


@pytest.mark.anyio
async def test_a_session_whose_caller_never_came_is_ended_and_its_room_closed(house: House) -> None:
    await house.has(ready())
    house.clock.seconds = TOO_LATE
    await house.sweep()
    session = await house.session()
    assert (session.state, session.end_reason, session.ended_at) == (State.ENDED, EndReason.NOT_JOINED, TOO_LATE)
    assert house.rooms.deleted == ["session_a"]
    assert house.ends("not_joined") == 1
    [line] = await house.store.logs("session_a", limit=10)
    assert (line["event"], line["reason"], line["by"]) == ("ended", "not_joined", "sweep")


@pytest.mark.anyio
async def test_nothing_is_done_before_it_is_due(house: House) -> None:
    before = await house.has(ready())
    house.clock.seconds = TOO_LATE - 0.1
    await house.sweep()
    assert await house.session() == before
    assert house.rooms.deleted == []


@pytest.mark.anyio
async def test_a_second_sweep_finds_nothing_to_do(house: House) -> None:
    await house.has(ready())
    house.clock.seconds = TOO_LATE
    await house.sweep()
    before = await house.session()
    await house.sweep()
    assert await house.session() == before
    assert house.rooms.deleted == ["session_a"]
    assert house.ends("not_joined") == 1


@pytest.mark.anyio
async def test_a_start_that_nobody_claimed_fails_and_gives_its_seat_back(house: House) -> None:
    await house.has(a_session(deadline=NOON + 30))
    house.clock.seconds = NOON + 30
    await house.sweep()
    session = await house.session()
    assert (session.state, session.error) == (State.ERROR, ErrorReason.NOT_CLAIMED)
    assert await house.store.seats() == 0
    assert house.ends("not_claimed") == 1


@pytest.mark.anyio
async def test_a_caller_who_is_there_after_all_is_written_down(house: House) -> None:
    await house.has(ready())
    house.rooms.people["session_a"] = [CALLER]
    house.clock.seconds = TOO_LATE
    await house.sweep()
    session = await house.session()
    assert (session.state, session.caller, session.caller_since) == (State.READY, Caller.PRESENT, TOO_LATE)
    assert house.rooms.deleted == []


@pytest.mark.anyio
async def test_an_agent_alone_is_no_caller(house: House) -> None:
    await house.has(ready())
    house.rooms.people["session_a"] = [Participant(agent_identity("session_a", 1), agent=True)]
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert (await house.session()).state is State.ENDED


@pytest.mark.anyio
async def test_a_session_that_changed_meanwhile_is_judged_again() -> None:
    rooms = CrowdedRooms()
    house = _house(rooms=rooms)
    rooms.store = house.store
    await house.has(ready())
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert (await house.session()).state is State.READY
    assert rooms.deleted == []


@pytest.mark.anyio
async def test_while_livekit_is_away_nobody_is_called_absent(house: House) -> None:
    before = await house.has(ready())
    house.rooms.away = True
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert await house.session() == before
    house.rooms.away = False
    await house.sweep()
    assert (await house.session()).state is State.ENDED


@pytest.mark.anyio
async def test_a_start_fails_on_time_while_livekit_is_away_and_its_room_is_closed_later(house: House) -> None:
    await house.has(a_session(deadline=NOON + 30))
    house.rooms.away = True
    house.clock.seconds = NOON + 30
    await house.sweep()
    assert (await house.session()).error is ErrorReason.NOT_CLAIMED
    house.rooms.away = False
    house.clock.seconds += GOODBYE_SECONDS
    await house.sweep()
    assert house.rooms.opened == []


@pytest.mark.anyio
async def test_one_session_that_cannot_be_judged_holds_up_no_other(house: House) -> None:
    house.clock.seconds = NOON
    await house.has(ready())
    await house.has(a_session("session_b", deadline=NOON + 30, created_at=NOON - 1))
    house.rooms.away = True
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert (await house.session("session_a")).state is State.READY
    assert (await house.session("session_b")).state is State.ERROR


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("seconds", "closed"),
    [
        pytest.param(GOODBYE_SECONDS - 0.1, [], id="its agent may say goodbye first"),
        pytest.param(GOODBYE_SECONDS, ["session_a"], id="then it is closed"),
    ],
)
async def test_a_room_that_outlives_its_session(house: House, seconds: float, closed: list[str]) -> None:
    await house.has(ready())
    await update(house.store, "session_a", lambda each, now: ended(each, EndReason.STOPPED, now))
    house.clock.seconds = NOON + seconds
    await house.sweep()
    assert house.rooms.deleted == closed


@pytest.mark.anyio
async def test_rooms_of_others_and_of_live_sessions_are_left_alone(house: House) -> None:
    await house.has(ready(caller=Caller.PRESENT, caller_since=NOON))
    house.rooms.opened += [OpenRoom("meeting", "RM_x"), OpenRoom("session_of_another_deployment", "RM_y")]
    house.clock.seconds = NOON + 86400
    await house.sweep()
    assert house.rooms.deleted == []


@pytest.mark.anyio
async def test_a_foreign_room_whose_session_ended_is_closed_by_its_sid(house: House) -> None:
    room = OpenRoom("support-call", "RM_support")
    adopted_id = adopted_session_id(SECRET, room.sid)
    await admit(house.store, replace(a_session(adopted_id, adopted=True), room=room.name))
    await update(house.store, adopted_id, lambda each, now: ended(each, EndReason.FINISHED, now))
    house.rooms.opened = [room, OpenRoom("support-call-2", "RM_other")]
    house.clock.seconds = NOON + GOODBYE_SECONDS
    await house.sweep()
    assert house.rooms.deleted == ["support-call"]


@pytest.mark.anyio
async def test_more_sessions_than_one_page_holds_are_all_seen(house: House) -> None:
    count = PAGE + 3
    for number in range(count):
        session = a_session(f"session_{number}", deadline=NOON + 30, created_at=NOON - number)
        await admit(house.store, session, max_seats=count)
    house.clock.seconds = NOON + 30
    await house.sweep()
    assert house.ends("not_claimed") == count


@pytest.mark.anyio
async def test_a_store_that_is_away_is_the_callers_to_know() -> None:
    with pytest.raises(StoreUnavailable):
        await _house(LostStore).sweep()
