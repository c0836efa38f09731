"""What becomes of an attempt with its room: ghosts in it, no room at all, or no LiveKit."""

from typing import Any

import pytest

from dispatcher.attempts.executor import ROOM_BACK_SECONDS, SERVER_SECONDS
from dispatcher.attempts.policy import LOOK_AGAIN_SECONDS
from dispatcher.errors import LiveKitUnavailable
from dispatcher.livekit.port import OpenRoom
from session.fence import agent_identity
from session.record import (
    BACK_SECONDS,
    MOST_TRIES,
    CallerPresence,
    EndReason,
    ErrorReason,
    Session,
    State,
    connected_again,
    cut_off,
)
from session.store.ports import update
from tests.dispatcher.house import (
    CALLER,
    CLAIM_SECONDS,
    LATE,
    House,
    a_house,
    ghost,
    in_call,
    is_ready,
    recovering,
    starting,
)
from tests.session.making import NOON, admit, ends

pytestmark = pytest.mark.anyio


@pytest.fixture
def house() -> House:
    return a_house()


async def test_the_next_agent_is_asked_for_before_any_ghost_is_gone(house: House) -> None:
    house.rooms.sticky = {agent_identity("session_a", 2): 3}
    await house.has(recovering(attempt=2), CALLER, ghost(1), ghost(2))
    await house.handle_due(NOON)
    assert house.rooms.dispatched == [("session_a", 3)]
    assert "remove" not in [what for what, _ in house.rooms.calls]
    await house.attempts.ghosts.settled()
    assert house.rooms.people["session_a"] == [CALLER]


async def test_ghosts_that_are_listed_for_ever_and_never_removed_stop_no_recovery(house: House) -> None:
    """Their LiveKit node has died: nothing that is asked about them is answered."""
    house.rooms.dead = {agent_identity("session_a", 1), agent_identity("session_a", 2)}
    await house.has(recovering(attempt=2), CALLER, ghost(1), ghost(2))
    after = await house.handle_due(NOON)
    assert (after.attempt, after.tries) == (3, 1)
    assert house.rooms.dispatched == [("session_a", 3)]
    assert house.timers.set[-1] == ("session_a", CLAIM_SECONDS)
    after = await update(house.store, "session_a", is_ready)
    assert (after.state, after.attempt) == (State.READY, 3)
    assert house.rooms.deleted == []


async def test_neither_the_agent_nor_its_successor_is_taken_for_a_ghost(house: House) -> None:
    """A slow dispatcher looks for ghosts when another one has long dispatched the attempt after its own."""
    await house.has(recovering(), CALLER, ghost(1))

    async def others_go_on() -> None:
        house.rooms.people["session_a"] += [ghost(2), ghost(3)]

    house.rooms.meanwhile["participants"] = others_go_on
    await house.handle_due(NOON)
    await house.attempts.ghosts.settled()
    assert house.rooms.people["session_a"] == [CALLER, ghost(2), ghost(3)]


async def test_a_start_whose_room_was_never_made_gets_one(house: House) -> None:
    await admit(house.store, starting())
    session = await house.handle_due()
    assert session.attempt == 2
    assert [each.name for each in house.rooms.opened] == ["session_a"]
    assert house.rooms.dispatched == [("session_a", 2)]


GONE: list[Any] = [
    pytest.param(starting(caller=CallerPresence.AWAY), EndReason.CALLER_LEFT, id="of a start whose caller has left"),
    pytest.param(recovering(caller=CallerPresence.AWAY), EndReason.CALLER_LEFT, id="of a call whose caller has left"),
    pytest.param(
        starting(state=State.RESERVED, caller=CallerPresence.AWAY),
        EndReason.CALLER_LEFT,
        id="of a reserved session whose caller has come and gone",
    ),
    pytest.param(
        starting(state=State.RESERVED), EndReason.NOT_JOINED, id="of a reserved session whose caller nobody has seen"
    ),
    pytest.param(starting(adopted=True), EndReason.NOT_JOINED, id="that somebody else made"),
]


@pytest.mark.parametrize(("session", "reason"), GONE)
async def test_the_session_ends_with_the_room(house: House, session: Session, reason: EndReason) -> None:
    await admit(house.store, session)
    over = await house.handle_due(NOON + ROOM_BACK_SECONDS)
    assert (over.state, over.end_reason) == (State.ENDED, reason)
    assert house.rooms.dispatched == []
    assert ends(house.store)[reason] == 1


async def test_a_call_whose_caller_never_joined_gets_a_new_room(house: House) -> None:
    await admit(house.store, recovering(caller=CallerPresence.ABSENT))
    assert (await house.handle_due(NOON)).attempt == 2
    assert house.rooms.dispatched == [("session_a", 2)]


WAITING: list[Any] = [
    pytest.param(recovering(), NOON, id="of a call"),
    pytest.param(starting(caller=CallerPresence.PRESENT), LATE, id="of a start"),
    pytest.param(
        starting(state=State.RESERVED, caller=CallerPresence.PRESENT, caller_since=NOON),
        LATE,
        id="of a reserved session",
    ),
    pytest.param(
        recovering(caller=CallerPresence.AWAY), NOON, id="of a call that seemed to be left, as its server restarted"
    ),
]


@pytest.mark.parametrize(("session", "due"), WAITING)
async def test_a_caller_whose_room_went_with_livekit_may_come_back(house: House, session: Session, due: float) -> None:
    await admit(house.store, session)
    waiting = await house.handle_due(due)
    assert (waiting.attempt, waiting.deadline) == (1, due + LOOK_AGAIN_SECONDS)
    house.rooms.opened.append(OpenRoom("session_a", "RM_new"))
    after = await house.handle_due(due + LOOK_AGAIN_SECONDS)
    assert after.attempt == 2
    assert house.rooms.dispatched == [("session_a", 2)]


@pytest.mark.parametrize(("session", "due"), WAITING)
async def test_but_not_for_ever(house: House, session: Session, due: float) -> None:
    await admit(house.store, session)
    assert (await house.handle_due(NOON + ROOM_BACK_SECONDS - 0.1)).state is session.state
    over = await house.handle_due(NOON + ROOM_BACK_SECONDS + 1)
    away = session.caller is CallerPresence.AWAY
    assert (over.error, over.end_reason) == ((None, EndReason.CALLER_LEFT) if away else (ErrorReason.SERVER_LOST, None))


@pytest.mark.parametrize("session", [starting(), recovering()], ids=["a start", "a call"])
async def test_while_livekit_is_away_it_is_waited_for_without_costing_a_try(house: House, session: Session) -> None:
    await house.has(session, CALLER)
    house.rooms.away = True
    waiting = await house.handle_due()
    assert (waiting.attempt, waiting.tries) == (session.attempt, session.tries)
    assert waiting.deadline == LATE + LOOK_AGAIN_SECONDS
    house.rooms.away = False
    assert (await house.handle_due(LATE + 1)).attempt == 2


@pytest.mark.parametrize("session", [starting(), recovering()], ids=["a start", "a call"])
async def test_when_livekit_stays_away_the_session_is_over(house: House, session: Session) -> None:
    await house.has(session, CALLER)
    house.rooms.away = True
    assert (await house.handle_due(NOON + SERVER_SECONDS - 0.1)).state is session.state
    assert (await house.handle_due(NOON + SERVER_SECONDS + 1)).error is ErrorReason.SERVER_LOST


async def test_a_dispatch_that_livekit_did_not_take_is_made_again_at_its_deadline(house: House) -> None:
    await house.has(starting())

    async def leave() -> None:
        house.rooms.away = True

    house.rooms.meanwhile["dispatch"] = leave
    after = await house.handle_due()
    assert (after.attempt, after.deadline) == (2, LATE + CLAIM_SECONDS)
    house.rooms.away = False
    assert (await house.handle_due(LATE + 5)).attempt == 3
    assert house.rooms.dispatched == [("session_a", 3)]


async def test_dispatches_that_livekit_does_not_answer_cost_no_try(house: House) -> None:
    """The room's node has died, and its caller is on the way to another one."""
    await house.has(recovering(), CALLER)

    async def nobody_answers() -> None:
        raise LiveKitUnavailable

    asked = NOON
    for number in range(2 * MOST_TRIES):
        house.rooms.meanwhile["dispatch"] = nobody_answers
        after = await house.handle_due(asked)
        assert (after.attempt, after.tries, after.state) == (2 + number, 0, State.RECOVERING)
        asked += CLAIM_SECONDS + 1
    after = await house.handle_due(asked)
    assert (after.tries, house.rooms.dispatched) == (1, [("session_a", after.attempt)])


async def test_but_not_for_ever_either(house: House) -> None:
    await house.has(recovering(), CALLER)

    async def nobody_answers() -> None:
        raise LiveKitUnavailable

    house.rooms.meanwhile["dispatch"] = nobody_answers
    assert (await house.handle_due(NOON + ROOM_BACK_SECONDS)).tries == 1


async def cut_off_call(house: House) -> Session:
    """A call whose agent says at noon that it has lost LiveKit."""
    await house.has(in_call(recoveries=0), CALLER, ghost(1))
    return await update(house.store, "session_a", lambda each, now: cut_off(each, attempt=1, job="job_a", now=now))


async def test_an_agent_that_is_cut_from_livekit_is_replaced_while_livekit_answers_us(house: House) -> None:
    await cut_off_call(house)
    assert (await house.handle_due(NOON)).state is State.RECOVERING
    assert await house.events() == [{"event": "agent_cut_off", "level": "error", "attempt": 1}]
    after = await house.handle_due(NOON)
    assert (after.attempt, after.cut_off) == (2, False)
    assert house.rooms.dispatched == [("session_a", 2)]


async def test_while_livekit_answers_nobody_no_agent_counts_as_lost(house: House) -> None:
    await cut_off_call(house)
    house.rooms.away = True
    for seconds in (NOON, NOON + 60):
        waiting = await house.handle_due(seconds)
        assert (waiting.state, waiting.deadline) == (State.READY, seconds + BACK_SECONDS)
    house.rooms.away = False
    assert (await house.handle_due(NOON + 61)).state is State.READY  # it may come back by itself now
    assert (await house.handle_due(NOON + 60 + BACK_SECONDS)).state is State.RECOVERING


async def test_an_agent_that_has_its_connection_back_stays(house: House) -> None:
    await cut_off_call(house)
    await update(house.store, "session_a", lambda each, _: connected_again(each, attempt=1, job="job_a"))
    after = await house.handle_due(NOON + 60)
    assert (after.state, after.job, after.deadline) == (State.READY, "job_a", None)
    assert house.rooms.dispatched == []
