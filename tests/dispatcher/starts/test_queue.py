"""Who is let in from the queue, in which order, and who is sent away."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from dispatcher.fleet.workers import FRESH_SECONDS
from dispatcher.starts.queue import StartQueue
from session.errors import UnreadableRecord
from session.record import EndReason, ErrorReason, Session, State, ended
from session.store.ports import SILENT_SECONDS, update
from tests.dispatcher.house import CALLER, CLAIM_SECONDS, House, a_house
from tests.session.making import NOON, a_session, a_session_in, admit, ends
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
QUEUE_SECONDS = 30.0
A, B, C = "session_a", "session_b", "session_c"


class RacingStore(MemoryStore):
    """Something else happens right after a record was read."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        looked = await super().get_with_time(session_id)
        if self.meanwhile is not None:
            happen, self.meanwhile = self.meanwhile, None
            await happen()
        return looked


class PatchyStore(MemoryStore):
    """One of its records is of a version that is not known here."""

    unreadable = A

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        if session_id == self.unreadable:
            raise UnreadableRecord
        return await super().get_with_time(session_id)


@pytest.fixture
def house() -> House:
    return a_house()


def line(house: House, max_seats: int = 9) -> StartQueue:
    return StartQueue(house.store, house.attempts, max_seats)


async def queue(house: House, *names: str, **changes: Any) -> None:
    """These stand in the line, one second apart, each with a room that has no agent."""
    for number, name in enumerate(names):
        at = NOON + number
        facts = {"attempt": 0, "created_at": at, "since": at, "deadline": at + QUEUE_SECONDS, **changes}
        session = a_session(name, state=State.QUEUED, **facts)
        await house.rooms.create(session, with_agent=False)
        await admit(house.store, session)


async def states(house: House, *names: str) -> list[State]:
    return [(await house.session(name)).state for name in names]


async def test_nobody_waits(house: House) -> None:
    assert await line(house).advance() == 0


async def test_the_first_one_gets_his_seat_and_an_agent_in_the_room_he_waits_in(house: House) -> None:
    await queue(house, A)
    house.rooms.people[A] = [CALLER]
    house.clock.seconds = NOON + 4
    await house.worker(deployment="green")
    assert await line(house).advance() == 1
    session = await house.session()
    assert (session.state, session.attempt, session.tries, session.deployment) == (State.STARTING, 1, 1, "green")
    assert session.deadline == NOON + 4 + CLAIM_SECONDS
    assert house.rooms.dispatched == [(A, 1)]
    assert house.rooms.people[A] == [CALLER]
    assert await house.events() == [{"event": "left_the_queue", "level": "info", "waited_ms": 4000}]


async def test_the_oldest_go_first_as_far_as_there_are_slots(house: House) -> None:
    await queue(house, C, A, B)
    await house.worker(slots=2)
    assert await line(house).advance() == 3
    assert await states(house, C, A, B) == [State.STARTING, State.STARTING, State.QUEUED]
    assert await line(house).advance() == 1
    assert await states(house, B) == [State.QUEUED]


async def test_a_slot_that_gets_free_is_the_next_ones(house: House) -> None:
    await queue(house, A, B)
    await house.worker(slots=1)
    await line(house).advance()
    await update(house.store, A, lambda each, now: ended(each, EndReason.STOPPED, now))
    await line(house).advance()
    assert await states(house, B) == [State.STARTING]


async def test_no_more_are_let_in_than_there_are_seats(house: House) -> None:
    await queue(house, A, B)
    await house.worker(slots=4)
    await line(house, max_seats=1).advance()
    assert await states(house, A, B) == [State.STARTING, State.QUEUED]
    assert await house.store.seats() == 1


@pytest.mark.parametrize(
    ("changes", "ago"),
    [
        pytest.param({"active": 4}, 0.0, id="whose slots are all taken"),
        pytest.param({"draining": True}, 0.0, id="that takes no new calls"),
        pytest.param({"left": True}, 0.0, id="that has left"),
        pytest.param({}, FRESH_SECONDS + 0.1, id="that may have died"),
        pytest.param({}, SILENT_SECONDS + 1, id="that is being restarted"),
        pytest.param({"agents": {"shop": ()}}, 0.0, id="that does not have the agent"),
    ],
)
async def test_nobody_is_sent_to_a_worker(house: House, changes: dict[str, Any], ago: float) -> None:
    await house.worker(**changes)
    house.clock.seconds += ago
    await queue(house, A)
    await line(house).advance()
    assert await states(house, A) == [State.QUEUED]
    assert house.rooms.dispatched == []


async def test_who_waits_for_another_agent_holds_up_nobody(house: House) -> None:
    await queue(house, A, agent="shop")
    await queue(house, B)
    await house.worker()
    await line(house).advance()
    assert await states(house, A, B) == [State.QUEUED, State.STARTING]


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"draining": True}, id="a worker that leaves still has"),
        pytest.param({"agents": {"shop": ()}}, id="another agent's workers have"),
    ],
)
async def test_nobody_waits_for_the_calls_that(house: House, others: dict[str, Any]) -> None:
    await house.worker("worker_b", slots=1, active=1, **others)
    await admit(house.store, a_session_in(State.READY, worker="worker_b"))
    await queue(house, B)
    await house.worker(slots=1)
    await line(house).advance()
    assert await states(house, B) == [State.STARTING]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"active": 4}, ErrorReason.NO_CAPACITY, id="for want of a slot"),
        pytest.param({"draining": True}, ErrorReason.NO_WORKER, id="for want of a worker"),
    ],
)
async def test_who_has_waited_too_long_is_sent_away(house: House, changes: dict[str, Any], reason: ErrorReason) -> None:
    await queue(house, A, B)
    house.clock.seconds = NOON + QUEUE_SECONDS
    await house.worker(**changes)
    await line(house).advance()
    session = await house.session(A)
    assert (session.state, session.error, session.ended_at) == (State.ERROR, reason, NOON + QUEUE_SECONDS)
    assert house.rooms.deleted == [A]
    assert await states(house, B) == [State.QUEUED]
    assert ends(house.store)[reason] == 1


async def test_however_many_see_to_the_line_at_once_each_is_let_in_once(house: House) -> None:
    await queue(house, A, B, C)
    await house.worker(slots=3)
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(StartQueue(house.store, house.replica(), 9).advance)
    assert sorted(house.rooms.dispatched) == [(A, 1), (B, 1), (C, 1)]


async def test_who_stops_waiting_at_the_last_moment_gets_no_agent() -> None:
    house = a_house(RacingStore)
    await queue(house, A, B)
    await house.worker()

    async def stop() -> None:
        await update(house.store, A, lambda each, now: ended(each, EndReason.STOPPED, now))

    house.store.meanwhile = stop  # type: ignore[attr-defined]
    await line(house).advance()
    assert await states(house, A, B) == [State.ENDED, State.STARTING]
    assert house.rooms.dispatched == [(B, 1)]


async def test_a_start_that_cannot_be_read_holds_up_nobody() -> None:
    house = a_house(PatchyStore)
    await queue(house, A, B)
    await house.worker()
    await line(house).advance()
    assert await states(house, B) == [State.STARTING]


async def test_without_livekit_who_was_let_in_keeps_his_seat_and_the_others_wait(house: House) -> None:
    await queue(house, A, B)
    await house.worker()
    house.rooms.away = True
    await line(house).advance()
    assert await states(house, A, B) == [State.STARTING, State.QUEUED]
    assert (await house.session(A)).deadline == NOON + CLAIM_SECONDS
