"""What becomes of an attempt with its room: ghosts in it, no room at all, or no LiveKit."""

from typing import Any

import pytest

from dispatcher.attempts.executor import GHOST_TRIES, ROOM_BACK_SECONDS, SERVER_SECONDS
from dispatcher.attempts.policy import LOOK_AGAIN_SECONDS
from dispatcher.livekit.port import OpenRoom
from session.fence import agent_identity
from session.record import CallerPresence, EndReason, ErrorReason, Session, State
from tests.dispatcher.house import CALLER, CLAIM_SECONDS, LATE, House, a_house, ghost, recovering, starting
from tests.session.making import NOON, admit, ends

pytestmark = pytest.mark.anyio


@pytest.fixture
def house() -> House:
    return a_house()


async def test_ghosts_are_sent_out_until_they_are_gone_and_then_the_next_agent_is_asked_for(house: House) -> None:
    house.rooms.sticky = {agent_identity("session_a", 2): 3}
    await house.has(recovering(attempt=2), CALLER, ghost(1), ghost(2))
    await house.handle_due(NOON)
    assert house.rooms.people["session_a"] == [CALLER]
    asked = [what for what, _ in house.rooms.calls]
    assert asked.count("remove") == 4
    assert asked[-2:] == ["participants", "dispatch"]
    assert house.counted("ghosts_removed") == 4


async def test_a_ghost_that_stays_does_not_hold_up_the_next_agent_for_ever(house: House) -> None:
    house.rooms.sticky = {agent_identity("session_a", 1): 999}
    await house.has(recovering(), CALLER, ghost(1))
    await house.handle_due(NOON)
    assert house.counted("ghosts_removed") == GHOST_TRIES
    assert house.rooms.dispatched == [("session_a", 2)]


async def test_neither_the_agent_nor_its_successor_is_taken_for_a_ghost(house: House) -> None:
    """A slow dispatcher looks for ghosts when another one has long dispatched the attempt after its own."""
    await house.has(recovering(), CALLER, ghost(1))

    async def others_go_on() -> None:
        house.rooms.people["session_a"] += [ghost(2), ghost(3)]

    house.rooms.meanwhile["participants"] = others_go_on
    await house.handle_due(NOON)
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
