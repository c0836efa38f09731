"""Which attempts are made, and what is written before anything is asked of LiveKit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from dispatcher.attempts.policy import LOOK_AGAIN_SECONDS, RATION, START_PATIENCE_SECONDS
from dispatcher.errors import LiveKitUnavailable
from session.errors import Conflict, NoCapacity, SessionNotFound, UnreadableRecord
from session.record import FINAL, MOST_TRIES, CallerPresence, EndReason, ErrorReason, Session, State, accepted, claimed
from session.store.ports import update
from tests.dispatcher.house import CALLER, CLAIM_SECONDS, LATE, House, a_house, is_ready, recovering, starting
from tests.session.making import NOON, a_session, a_session_in, admit, ends
from tests.session.memory_store import MemoryStore


class UnreadableStore(MemoryStore):
    """Holds a record of a version that is not known here."""

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        raise UnreadableRecord


pytestmark = pytest.mark.anyio


@pytest.fixture
def house() -> House:
    return a_house()


async def test_a_start_that_no_worker_accepted_is_dispatched_again(house: House) -> None:
    await house.has(starting())
    session = await house.handle_due()
    assert (session.state, session.attempt, session.tries) == (State.STARTING, 2, 2)
    assert (session.progress_at, session.deadline) == (LATE, LATE + CLAIM_SECONDS)
    assert house.rooms.dispatched == [("session_a", 2)]
    assert house.timers.set == [("session_a", CLAIM_SECONDS)]
    assert house.counted("dispatches_again", what="start") == 1
    again = {"event": "dispatched_again", "level": "warning", "attempt": 2, "tries": 2, "farewell": False}
    assert await house.events() == [again]


async def test_a_lost_agent_is_replaced_at_once(house: House) -> None:
    await house.has(recovering(attempt=4), CALLER)
    session = await house.handle_due(NOON)
    assert (session.state, session.attempt, session.tries) == (State.RECOVERING, 5, 1)
    assert house.rooms.dispatched == [("session_a", 5)]
    assert house.counted("dispatches_again", what="recovery") == 1


async def test_the_worker_with_room_is_asked_by_its_deployment(house: House) -> None:
    await house.has(starting(deployment="blue"))
    house.clock.seconds = LATE
    await house.worker(deployment="green")
    await house.attempts.handle_due("session_a")
    assert (await house.session()).deployment == "green"


async def test_the_next_attempt_is_written_before_it_is_dispatched(house: House) -> None:
    seen: list[int] = []

    async def look() -> None:
        seen.append((await house.session()).attempt)

    await house.has(starting())
    house.rooms.meanwhile["dispatch"] = look
    await house.handle_due()
    assert seen == [2]


async def test_what_a_dispatcher_wrote_before_it_died_is_dispatched_by_another(house: House) -> None:
    await house.has(starting())

    async def die() -> None:
        raise KilledError

    house.rooms.meanwhile["dispatch"] = die
    with pytest.raises(KilledError):
        await house.handle_due()
    assert house.rooms.dispatched == []
    house._attempts = house.replica()
    session = await house.handle_due(LATE + 10)
    assert (session.attempt, session.tries) == (3, 3)
    assert house.rooms.dispatched == [("session_a", 3)]


class KilledError(Exception):
    """The process is gone."""


@pytest.mark.parametrize("session", [starting(), recovering()], ids=["a start", "a recovery"])
async def test_of_two_dispatchers_that_see_to_the_same_session_one_dispatches(house: House, session: Session) -> None:
    """The second one decides, writes and dispatches while the first is still asking for the room."""
    await house.has(session, CALLER)
    other = house.replica()
    house.rooms.meanwhile["find"] = lambda: other.handle_due("session_a")
    after = await house.handle_due()
    assert after.attempt == 2
    assert house.rooms.dispatched == [("session_a", 2)]
    assert house.counted("dispatches_again", what="start") + house.counted("dispatches_again", what="recovery") == 1


async def test_however_many_see_to_a_session_at_once_it_is_dispatched_once(house: House) -> None:
    await house.has(recovering(), CALLER)
    await house.worker()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(house.replica().handle_due, "session_a")
    assert house.rooms.dispatched == [("session_a", 2)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda each, now: accepted(each, attempt=1, job="job_a", worker="w", now=now), id="a worker accepts it"
        ),
        pytest.param(lambda each, now: claimed(each, attempt=1, job="job_a", worker="w", now=now), id="it is claimed"),
    ],
)
async def test_an_attempt_that_makes_progress_at_the_last_moment_is_left_alone(
    house: House, change: Callable[[Session, float], Session]
) -> None:
    await house.has(starting())
    house.rooms.meanwhile["find"] = lambda: update(house.store, "session_a", change)
    session = await house.handle_due()
    assert session.attempt == 1
    assert house.rooms.dispatched == []


async def test_a_session_that_is_stopped_at_the_last_moment_stays_stopped(house: House) -> None:
    await house.has(starting())

    async def stop() -> None:
        await house.attempts.give_up(await house.session(), EndReason.STOPPED)

    house.rooms.meanwhile["find"] = stop
    assert (await house.handle_due()).end_reason is EndReason.STOPPED
    assert house.rooms.dispatched == []


@pytest.mark.parametrize("state", sorted({State.QUEUED, State.READY, *FINAL}))
async def test_a_session_that_waits_for_no_agent_is_left_alone(house: House, state: State) -> None:
    before = await house.has(a_session_in(state, deadline=NOON))
    assert await house.handle_due() == before
    assert house.rooms.calls == []
    assert house.timers.set == []


async def test_a_reserved_session_is_left_alone_until_its_caller_comes(house: House) -> None:
    before = await house.has(a_session_in(State.RESERVED))
    assert await house.handle_due(NOON + 500) == before


async def test_what_is_early_is_seen_to_when_it_is_due(house: House) -> None:
    before = await house.has(starting())
    assert await house.handle_due(LATE - 0.5) == before
    assert house.timers.set == [("session_a", 0.5)]


async def test_what_is_slow_is_seen_to_later(house: House) -> None:
    await house.has(starting())
    for number in range(5):
        await admit(house.store, a_session(f"session_{number}"))
    session = await house.handle_due()
    assert (session.attempt, session.deadline) == (1, NOON + 2 * CLAIM_SECONDS)
    assert house.timers.set == [("session_a", CLAIM_SECONDS)]
    assert house.rooms.dispatched == []


@pytest.mark.parametrize("kind", [MemoryStore, UnreadableStore])
async def test_a_session_that_is_not_there_or_cannot_be_read_is_nobodys_business(
    kind: type[MemoryStore],
) -> None:
    house = a_house(kind)
    await house.attempts.handle_due("session_gone")
    assert house.rooms.calls == []


async def test_after_the_last_try_the_session_is_over_its_seat_free_and_its_room_closed(house: House) -> None:
    await house.has(starting(tries=MOST_TRIES, attempt=3), CALLER)
    over = await house.handle_due(NOON + 10)
    assert (over.state, over.error, over.ended_at) == (State.ERROR, ErrorReason.NOT_CLAIMED, NOON + 10)
    assert await house.store.seats() == 0
    assert house.rooms.deleted == ["session_a"]
    assert ends(house.store)["not_claimed"] == 1
    assert await house.events() == [
        {"event": "ended", "level": "error", "reason": "not_claimed", "by": "attempts", "attempt": 3}
    ]


async def test_without_a_worker_a_start_waits_and_then_says_so(house: House) -> None:
    await house.has(starting())
    for seconds in (LATE, NOON + START_PATIENCE_SECONDS - 0.1):
        house.clock.seconds = seconds
        await house.attempts.handle_due("session_a")
        assert (await house.session()).tries == 1
    house.clock.seconds = NOON + START_PATIENCE_SECONDS + 1
    await house.attempts.handle_due("session_a")
    assert (await house.session()).error is ErrorReason.NO_WORKER


async def test_a_session_that_moves_on_meanwhile_is_not_given_up(house: House) -> None:
    await house.has(starting(tries=MOST_TRIES))
    before = await house.session()

    await update(house.store, "session_a", is_ready)
    await house.attempts.give_up(before, ErrorReason.NOT_CLAIMED)
    assert (await house.session()).state is State.READY
    assert house.rooms.deleted == []


async def test_giving_up_while_livekit_is_away_leaves_the_room_to_the_sweep(house: House) -> None:
    await house.has(starting())
    house.rooms.away = True
    await house.attempts.give_up(await house.session(), ErrorReason.NO_WORKER)
    assert (await house.session()).error is ErrorReason.NO_WORKER


async def test_a_good_end_is_noted_as_such(house: House) -> None:
    await house.has(starting())
    await house.attempts.give_up(await house.session(), EndReason.NOT_JOINED)
    assert [line["level"] for line in await house.events()] == ["info"]


def reserved(**changes: Any) -> Session:
    """Its caller came at noon."""
    return starting(state=State.RESERVED, caller=CallerPresence.PRESENT, caller_since=NOON, **changes)


async def test_a_reserved_session_takes_its_seat_at_the_next_try(house: House) -> None:
    await house.has(reserved(), CALLER)
    assert await house.store.seats() == 0
    session = await house.handle_due()
    assert (session.state, session.attempt) == (State.STARTING, 2)
    assert await house.store.seats() == 1


async def test_without_a_seat_it_is_over(house: House) -> None:
    await house.has(reserved(), CALLER)
    for number in range(house.max_seats):
        await admit(house.store, replace(a_session_in(State.READY), id=f"s{number}", room=f"s{number}"))
    session = await house.handle_due()
    assert session.error is ErrorReason.NO_CAPACITY
    assert house.rooms.dispatched == []
    assert house.rooms.deleted == ["session_a"]


async def test_a_recovery_needs_no_second_seat(house: House) -> None:
    await house.has(recovering(), CALLER)
    for number in range(house.max_seats - 1):
        await admit(house.store, replace(a_session_in(State.READY), id=f"s{number}", room=f"s{number}"))
    assert (await house.handle_due(NOON)).attempt == 2


async def test_recoveries_are_rationed_also_when_they_are_all_due_at_once(house: House) -> None:
    names = [f"session_{number}" for number in range(6)]
    for name in names:
        await house.has(replace(recovering(), id=name, room=name))
    await house.worker(slots=9)
    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(house.attempts.handle_due, name)
    assert len(house.rooms.dispatched) == RATION
    waiting = [each for each in [await house.session(name) for name in names] if each.attempt == 1]
    assert len(waiting) == len(names) - RATION
    assert {each.deadline for each in waiting} == {NOON + LOOK_AGAIN_SECONDS / 2}


async def test_when_one_is_through_the_next_may_begin(house: House) -> None:
    names = [f"session_{number}" for number in range(RATION + 1)]
    for name in names:
        await house.has(replace(recovering(), id=name, room=name))
        await house.worker(slots=9)
        await house.attempts.handle_due(name)
    assert [room for room, _ in house.rooms.dispatched] == names[:-1]

    await update(house.store, names[0], is_ready)
    house.clock.seconds += 1
    await house.worker(slots=9)
    await house.attempts.handle_due(names[-1])
    assert house.rooms.dispatched[-1] == (names[-1], 2)


async def test_a_session_leaves_the_queue_with_its_seat_and_its_first_attempt(house: House) -> None:
    queued = await house.has(a_session(state=State.QUEUED, attempt=0, deadline=NOON + 30))
    after = await house.attempts.begin(queued, "green", NOON + 1, max_seats=1)
    assert (after.state, after.attempt, after.tries, after.deployment) == (State.STARTING, 1, 1, "green")
    assert (after.since, after.deadline) == (NOON + 1, NOON + 1 + CLAIM_SECONDS)
    assert house.rooms.dispatched == [("session_a", 1)]
    assert house.timers.set == [("session_a", CLAIM_SECONDS)]
    assert await house.store.seats() == 1


async def test_a_session_of_the_queue_begins_once(house: House) -> None:
    queued = await house.has(a_session(state=State.QUEUED, attempt=0))
    await house.attempts.begin(queued, "", NOON, max_seats=9)
    with pytest.raises(Conflict):
        await house.replica().begin(queued, "", NOON, max_seats=9)
    assert house.rooms.dispatched == [("session_a", 1)]


async def test_without_a_seat_it_stays_in_the_queue(house: House) -> None:
    await admit(house.store, a_session("session_b"))
    queued = await house.has(a_session(state=State.QUEUED, attempt=0))
    with pytest.raises(NoCapacity):
        await house.attempts.begin(queued, "", NOON, max_seats=1)
    assert await house.session() == queued


async def test_without_livekit_it_has_begun_all_the_same_and_is_tried_again(house: House) -> None:
    queued = await house.has(a_session(state=State.QUEUED, attempt=0))
    house.rooms.away = True
    with pytest.raises(LiveKitUnavailable):
        await house.attempts.begin(queued, "", NOON, max_seats=9)
    house.rooms.away = False
    assert (await house.handle_due()).attempt == 2
    assert house.rooms.dispatched == [("session_a", 2)]


async def test_what_is_gone_cannot_be_given_up(house: House) -> None:
    with pytest.raises(SessionNotFound):
        await house.attempts.give_up(a_session("session_gone"), ErrorReason.LOST)
