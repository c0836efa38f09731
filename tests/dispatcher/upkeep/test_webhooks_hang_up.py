"""A caller who hangs up before its agent has come."""

from dataclasses import replace
from typing import Any

import pytest

from dispatcher.livekit.port import Participant, WebhookKind
from session.record import CallerPresence, EndReason, Session, State
from tests.dispatcher.upkeep.test_webhooks import AGENT, CALLER, House, a_house
from tests.session.making import NOON, a_session, a_session_in, admit


@pytest.fixture
def house() -> House:
    return a_house()


BEFORE_ITS_AGENT = [State.RESERVED, State.QUEUED, State.STARTING]


@pytest.mark.anyio
@pytest.mark.parametrize("state", BEFORE_ITS_AGENT)
@pytest.mark.parametrize("caller", [CallerPresence.PRESENT, CallerPresence.ABSENT], ids=["seen", "join not told"])
async def test_a_hang_up_before_the_agent_came_ends_the_session_at_once(
    house: House, state: State, caller: CallerPresence
) -> None:
    await admit(house.store, a_session(state=state, caller=caller, caller_since=NOON))
    house.clock.seconds = NOON + 1
    await house.hear(WebhookKind.LEFT, CALLER, by_itself=True)
    session = await house.session()
    assert (session.state, session.end_reason, session.ended_at) == (State.ENDED, EndReason.CALLER_LEFT, NOON + 1)
    assert house.rooms.deleted == ["session_a"]
    assert {"event": "ended", "reason": "caller_left", "by": "hang_up", "attempt": 1} in await house.events()


@pytest.mark.anyio
@pytest.mark.parametrize("call_status", ["ringing", "hangup"])
async def test_a_phone_that_is_gone_before_its_agent_came_is_not_waited_for(house: House, call_status: str) -> None:
    phone = Participant("sip_123", "SIP", call_status)
    await admit(house.store, replace(a_session_in(State.STARTING), adopted=True))
    await house.hear(WebhookKind.LEFT, phone, by_itself=False)
    assert (await house.session()).end_reason is EndReason.CALLER_LEFT


NO_EARLY_HANG_UP: list[Any] = [
    pytest.param(a_session_in(State.STARTING), False, [], id="whose connection dropped"),
    pytest.param(a_session_in(State.STARTING), True, [CALLER], id="who has joined again since"),
    pytest.param(a_session_in(State.READY), True, [AGENT], id="whose agent is there: it waits for a page that reloads"),
    pytest.param(a_session_in(State.RECOVERING, job=None), True, [], id="whose agent is being replaced"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("session", "by_itself", "there"), NO_EARLY_HANG_UP)
async def test_the_session_goes_on_for_a_caller(
    house: House, session: Session, by_itself: bool, there: list[Participant]
) -> None:
    await admit(house.store, replace(session, caller=CallerPresence.PRESENT))
    house.rooms.people["session_a"] = there
    await house.hear(WebhookKind.LEFT, CALLER, by_itself=by_itself)
    assert (await house.session()).state is session.state
