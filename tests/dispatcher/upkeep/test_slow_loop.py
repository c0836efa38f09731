from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.ending import Ending
from dispatcher.livekit.port import OpenRoom, Participant
from dispatcher.observe.metrics import Metrics
from dispatcher.upkeep.expiry import SLACK_SECONDS
from dispatcher.upkeep.reconcile import ABSENT_SECONDS, ROUNDS, SETTLED_SECONDS
from dispatcher.upkeep.slow_loop import FOREIGN_SECONDS, GOODBYE_SECONDS, LOOKS_AT_ONCE, PAGE, SlowLoop
from session.errors import StoreUnavailable
from session.fence import adopted_session_id, agent_identity, caller_identity
from session.record import LIVE, CallerPresence, EndReason, Session, State, ended
from session.settings import CallLimits
from session.store.ports import Page, update
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.house import a_reservations
from tests.session.making import NOON, a_session, a_session_in, admit, ends
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

SECRET = "0123456789abcdef0123456789abcdef"
AGENT = Participant(agent_identity("session_a", 1), kind="AGENT")
CALLER = Participant(caller_identity("session_a"))
JOIN_SECONDS = 300.0
LONGEST_SECONDS = 3600.0
LATEST = NOON + LONGEST_SECONDS + SLACK_SECONDS
TOO_LATE = NOON + JOIN_SECONDS + SLACK_SECONDS


class CrowdedRooms(FakeRooms):
    """Somebody writes the session while the server is asked who is there."""

    store: MemoryStore

    async def participants(self, room: str) -> Collection[Participant]:
        await update(self.store, room, lambda each, now: replace(each, caller=CallerPresence.PRESENT, caller_since=now))
        return await super().participants(room)


class LeakyStore(MemoryStore):
    """Two seats are held by nobody, until they are given back."""

    leaked = 2

    async def mend_seats(self) -> int:
        mended, self.leaked = self.leaked, 0
        return mended


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

    def __post_init__(self) -> None:
        limits = CallLimits(_env_file=None, join_seconds=JOIN_SECONDS, max_session_seconds=LONGEST_SECONDS)
        ending, metrics = Ending(self.store, self.rooms), Metrics(self.registry)
        reservations = a_reservations(self.store, self.rooms, max_seats=3)
        self._sweep = SlowLoop(self.store, self.rooms, ending, limits, metrics, SECRET, reservations, max_seats=3)

    async def sweep(self) -> None:
        await self._sweep.run()
        await self._sweep.ghosts.settled()

    async def has(self, session: Session) -> Session:
        """Admit this session; its room is open, with its agent and its caller if they should be there."""
        await self.rooms.create(session)
        agent = Participant(agent_identity(session.id, session.attempt), kind="AGENT")
        caller = Participant(caller_identity(session.id))
        there = [agent] if session.state is State.READY else []
        self.rooms.people[session.room] = [*there, caller] if session.caller is CallerPresence.PRESENT else there
        return await admit(self.store, session, max_seats=10_000)

    async def session(self, session_id: str = "session_a") -> Session:
        return await self.store.get(session_id)

    def repaired(self, kind: str) -> float | None:
        return self.registry.get_sample_value("greenroom_repairs_total", {"kind": kind})

    def ends(self, reason: str) -> int:
        return ends(self.store)[reason]


def a_sweep(kind: Callable[[Clock], MemoryStore] = MemoryStore, rooms: FakeRooms | None = None) -> House:
    clock = Clock(NOON)
    return House(clock, kind(clock), rooms or FakeRooms(), CollectorRegistry())


@pytest.fixture
def house() -> House:
    return a_sweep()


def ready(**changes: Any) -> Session:
    session_id = changes.get("id", "session_a")
    facts = {"ready_at": NOON, "last_active": NOON, "room": session_id, **changes}
    return replace(a_session_in(State.READY), **facts)


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


async def test_nothing_is_done_before_it_is_due(house: House) -> None:
    before = await house.has(ready())
    house.clock.seconds = TOO_LATE - 0.1
    await house.sweep()
    assert await house.session() == before
    assert house.rooms.deleted == []


async def test_a_second_sweep_finds_nothing_to_do(house: House) -> None:
    await house.has(ready())
    house.clock.seconds = TOO_LATE
    await house.sweep()
    before = await house.session()
    await house.sweep()
    assert await house.session() == before
    assert house.rooms.deleted == ["session_a"]
    assert house.ends("not_joined") == 1


async def test_a_call_that_has_lasted_long_enough_ends_with_its_caller_there_and_gives_its_seat_back(
    house: House,
) -> None:
    await house.has(ready(caller=CallerPresence.PRESENT))
    house.clock.seconds = LATEST
    await house.sweep()
    session = await house.session()
    assert (session.state, session.end_reason) == (State.ENDED, EndReason.MAX_DURATION)
    assert await house.store.seats() == 0
    assert house.ends("max_duration") == 1


@pytest.mark.parametrize("state", [State.QUEUED, State.STARTING, State.RECOVERING])
async def test_who_waits_for_an_agent_is_left_to_those_who_see_to_that(house: House, state: State) -> None:
    before = await house.has(a_session(state=state, deadline=NOON + 2, ready_at=None, last_active=NOON))
    house.clock.seconds = NOON + 60
    await house.sweep()
    assert await house.session() == before


async def test_a_caller_who_is_there_after_all_is_written_down(house: House) -> None:
    await house.has(ready())
    house.rooms.people["session_a"].append(CALLER)
    house.clock.seconds = TOO_LATE
    await house.sweep()
    session = await house.session()
    assert (session.state, session.caller, session.caller_since) == (State.READY, CallerPresence.PRESENT, TOO_LATE)
    assert house.rooms.deleted == []


async def test_an_agent_alone_is_no_caller(house: House) -> None:
    await house.has(ready())
    assert house.rooms.people["session_a"] == [AGENT]
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert (await house.session()).state is State.ENDED


async def test_a_session_that_changed_meanwhile_is_judged_again() -> None:
    rooms = CrowdedRooms()
    house = a_sweep(rooms=rooms)
    rooms.store = house.store
    await house.has(ready())
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert (await house.session()).state is State.READY
    assert rooms.deleted == []


async def test_while_livekit_is_away_nobody_is_called_absent(house: House) -> None:
    before = await house.has(ready())
    house.rooms.away = True
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert await house.session() == before
    house.rooms.away = False
    await house.sweep()
    assert (await house.session()).state is State.ENDED


async def test_a_call_ends_on_time_while_livekit_is_away_and_its_room_is_closed_later(house: House) -> None:
    await house.has(ready(caller=CallerPresence.PRESENT))
    house.rooms.away = True
    house.clock.seconds = LATEST
    await house.sweep()
    assert (await house.session()).end_reason is EndReason.MAX_DURATION
    house.rooms.away = False
    house.clock.seconds += GOODBYE_SECONDS
    await house.sweep()
    assert house.rooms.opened == []


async def test_one_session_that_cannot_be_judged_holds_up_no_other(house: House) -> None:
    await house.has(ready())
    await house.has(ready(id="session_b", caller=CallerPresence.PRESENT, ready_at=NOON - LONGEST_SECONDS))
    house.rooms.away = True
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert (await house.session("session_a")).state is State.READY
    assert (await house.session("session_b")).state is State.ENDED


class BrokenRooms(FakeRooms):
    async def participants(self, room: str) -> Collection[Participant]:
        if room == "session_a":
            raise RuntimeError("nobody expects it")
        return await super().participants(room)


async def test_one_session_whose_trouble_nobody_foresaw_holds_up_no_other() -> None:
    house = a_sweep(rooms=BrokenRooms())
    await house.has(ready())
    await house.has(ready(id="session_b", room="session_b"))
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert (await house.session("session_b")).state is State.ENDED


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


async def test_rooms_of_others_and_of_live_sessions_are_left_alone(house: House) -> None:
    await house.has(ready(caller=CallerPresence.PRESENT, caller_since=NOON))
    house.rooms.opened += [OpenRoom("meeting", "RM_x"), OpenRoom("session_of_another_deployment", "RM_y")]
    for _ in range(3):
        house.clock.seconds += GOODBYE_SECONDS
        await house.sweep()
    assert house.rooms.deleted == []


async def test_a_foreign_room_whose_session_ended_is_closed_by_its_sid(house: House) -> None:
    room = OpenRoom("support-call", "RM_support")
    adopted_id = adopted_session_id(SECRET, room.sid)
    await admit(house.store, replace(a_session(adopted_id, adopted=True), room=room.name))
    await update(house.store, adopted_id, lambda each, now: ended(each, EndReason.FINISHED, now))
    house.rooms.opened = [room, OpenRoom("support-call-2", "RM_other")]
    house.clock.seconds = NOON + GOODBYE_SECONDS
    await house.sweep()
    assert house.rooms.deleted == ["support-call"]


async def test_more_sessions_than_one_page_holds_are_all_seen(house: House) -> None:
    count = PAGE + 3
    for number in range(count):
        await house.store.start(
            ready(id=f"session_{number}", created_at=NOON - number), max_seats=count, op=f"op {number}"
        )
    house.clock.seconds = TOO_LATE
    await house.sweep()
    assert house.ends("not_joined") == count


@pytest.mark.parametrize("there", [[CALLER], []], ids=["with its caller in the room", "with nobody in the room"])
async def test_an_agent_that_is_not_in_its_room_is_lost(house: House, there: list[Participant]) -> None:
    await house.has(ready(caller=CallerPresence.PRESENT))
    house.rooms.people["session_a"] = there
    house.clock.seconds = NOON + SETTLED_SECONDS
    for _ in range(ROUNDS):  # a caller's microphone looks like an agent from afar
        await house.sweep()
    house.clock.seconds += ABSENT_SECONDS
    await house.sweep()
    session = await house.session()
    assert (session.state, session.deadline, session.job) == (State.RECOVERING, house.clock.seconds, None)
    assert house.repaired("agent") == 1


async def test_an_agent_whose_room_is_gone_is_lost(house: House) -> None:
    await house.has(ready(caller=CallerPresence.PRESENT))
    house.rooms.opened.clear()
    house.clock.seconds = NOON + SETTLED_SECONDS
    await house.sweep()
    assert (await house.session()).state is State.READY
    house.clock.seconds += ABSENT_SECONDS
    await house.sweep()
    assert (await house.session()).state is State.RECOVERING


async def test_a_ghost_is_sent_out_and_the_agent_stays(house: House) -> None:
    await house.has(ready(attempt=2, caller=CallerPresence.PRESENT))
    house.rooms.people["session_a"].append(AGENT)
    house.clock.seconds = NOON + SETTLED_SECONDS
    await house.sweep()
    there = [who.identity for who in house.rooms.people["session_a"]]
    assert there == [agent_identity("session_a", 2), CALLER.identity]
    assert (await house.session()).state is State.READY


async def test_a_room_of_ours_that_nobody_records_is_closed_when_it_is_seen_again(house: House) -> None:
    await house.rooms.create(a_session("session_lost"))
    await house.sweep()
    assert house.rooms.deleted == []
    await house.sweep()
    assert house.rooms.deleted == ["session_lost"]
    assert house.repaired("room") == 1


async def test_however_many_rooms_look_wrong_each_is_looked_into_in_its_turn(house: House) -> None:
    names = [f"session_{number}" for number in range(3 * LOOKS_AT_ONCE)]
    for name in names:
        await house.has(ready(id=name, caller=CallerPresence.PRESENT))
        house.rooms.people[name].append(Participant("somebody else"))
    house.clock.seconds = NOON + SETTLED_SECONDS
    house.rooms.calls.clear()
    for _ in range(4):
        await house.sweep()
    assert {room for what, room in house.rooms.calls if what == "participants"} == set(names)


FOREIGN = OpenRoom("support-call", "RM_support", made_at=NOON)
FOREIGN_ID = adopted_session_id(SECRET, FOREIGN.sid)


async def test_somebody_elses_room_that_waits_for_our_agent_in_vain_is_taken_up(house: House) -> None:
    house.rooms.opened = [FOREIGN]
    house.rooms.people[FOREIGN.name] = [Participant("phone-1")]
    house.rooms.metadata[FOREIGN.name] = '{"agent": "shop"}'
    house.clock.seconds = NOON + FOREIGN_SECONDS
    await house.sweep()
    session = await house.session(FOREIGN_ID)
    assert (session.state, session.room, session.agent, session.adopted) == (State.STARTING, FOREIGN.name, "shop", True)
    assert (session.caller, session.claimable) == (CallerPresence.PRESENT, False)
    assert await house.store.due(limit=9) == [FOREIGN_ID]
    assert house.repaired("adopted") == 1


@pytest.mark.parametrize(
    ("asked", "people", "after"),
    [
        pytest.param(None, [Participant("phone-1")], FOREIGN_SECONDS, id="one that asked for no agent of ours"),
        pytest.param("", [], FOREIGN_SECONDS, id="an empty one"),
        pytest.param("", [Participant("phone-1")], FOREIGN_SECONDS - 0.1, id="a new one, whose agent is on its way"),
    ],
)
async def test_another_room_of_somebody_else_is_left_alone(
    house: House, asked: str | None, people: list[Participant], after: float
) -> None:
    house.rooms.opened = [FOREIGN]
    house.rooms.people[FOREIGN.name] = people
    if asked is not None:
        house.rooms.metadata[FOREIGN.name] = asked
    house.clock.seconds = NOON + after
    await house.sweep()
    assert (await house.store.page(LIVE, limit=9)).sessions == []


async def test_seats_that_nobody_held_are_counted() -> None:
    house = a_sweep(LeakyStore)
    await house.sweep()
    await house.sweep()
    assert house.repaired("seat") == 2


async def test_a_store_that_is_away_is_the_callers_to_know() -> None:
    with pytest.raises(StoreUnavailable):
        await a_sweep(LostStore).sweep()
