"""Who is the caller, by the one rule that worker and dispatcher have."""

from __future__ import annotations

import pytest

from session.caller import is_caller
from session.fence import agent_identity, caller_identity
from tests.session.making import a_session

OURS = caller_identity("session_a")


@pytest.mark.parametrize(
    ("adopted", "identity", "kind", "call_status", "expected"),
    [
        (False, OURS, "STANDARD", "", True),
        (False, "somebody", "STANDARD", "", False),
        (False, agent_identity("session_a", 1), "AGENT", "", False),
        (False, OURS, "SIP", "ringing", False),
        (True, "somebody", "STANDARD", "", True),
        (True, "sip_123", "SIP", "", True),
        (True, "sip_123", "SIP", "dialing", False),
        (True, "sip_123", "SIP", "ringing", False),
        (True, "sip_123", "SIP", "automation", False),
        (True, "sip_123", "SIP", "active", True),
        (True, "sip_123", "SIP", "hangup", True),
        (True, "whatsapp", "CONNECTOR", "", True),
        (True, "helper", "AGENT", "", False),
        (True, "EG_recorder", "EGRESS", "", False),
        (True, "camera", "INGRESS", "", False),
        (True, "unheard of", "", "", False),
    ],
)
def test_the_caller_is_a_person_or_a_phone_that_was_answered(
    adopted: bool, identity: str, kind: str, call_status: str, expected: bool
) -> None:
    assert is_caller(a_session(adopted=adopted), identity, kind, call_status) is expected
