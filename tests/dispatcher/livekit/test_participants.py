"""Who in a room is the session's caller, and who is what an earlier attempt left behind."""

from __future__ import annotations

import pytest

from dispatcher.livekit.participants import is_caller, is_ghost
from dispatcher.livekit.port import Participant
from session.fence import agent_identity, caller_identity
from tests.session.making import a_session


@pytest.mark.parametrize(
    ("adopted", "participant", "expected"),
    [
        (False, Participant(caller_identity("session_a")), True),
        (False, Participant("somebody"), False),
        (False, Participant(agent_identity("session_a", 1), kind="AGENT"), False),
        (True, Participant("sip_123"), True),
        (True, Participant("sip_123", "SIP", "ringing"), False),
        (True, Participant("helper", kind="AGENT"), False),
        (True, Participant("EG_recorder", kind="EGRESS"), False),
    ],
)
def test_the_caller_goes_by_its_identity_unless_the_room_is_somebody_elses(
    adopted: bool, participant: Participant, expected: bool
) -> None:
    assert is_caller(a_session(adopted=adopted), participant) is expected


@pytest.mark.parametrize(("attempt", "expected"), [(1, True), (2, True), (3, False), (4, False)])
def test_an_agent_of_an_earlier_attempt_alone_is_a_ghost(attempt: int, expected: bool) -> None:
    agent = Participant(agent_identity("session_a", attempt), kind="AGENT")
    assert is_ghost(a_session(attempt=3), agent) is expected
