from typing import Any

import pytest

from dispatcher.livekit.port import RESERVED_TOKEN_SECONDS
from dispatcher.upkeep.expiry import SLACK_SECONDS, UNJOINED_SECONDS, Expired, verdict
from session.record import FINAL, CallerPresence, EndReason, Session, State
from session.settings import CallLimits
from tests.session.making import NOON, a_session, a_session_in

LIMITS: dict[str, Any] = {
    "caller_grace": 30.0,
    "hangup_grace": 10.0,
    "join_seconds": 300.0,
    "idle_seconds": 1800.0,
    "max_session_seconds": None,
}
READY: dict[str, Any] = {"ready_at": NOON + 1, "last_active": NOON + 1}


def limits(**changes: Any) -> CallLimits:
    return CallLimits(_env_file=None, **{**LIMITS, **changes})


def ready(caller: CallerPresence, **changes: Any) -> Session:
    return a_session_in(State.READY, caller=caller, **{**READY, **changes})


LONG = {"max_session_seconds": 600.0}
TABLE = [
    pytest.param(
        a_session_in(State.RESERVED),
        {},
        RESERVED_TOKEN_SECONDS + SLACK_SECONDS,
        Expired(EndReason.NOT_JOINED),
        id="a reserved session ends with its token",
    ),
    pytest.param(
        ready(CallerPresence.ABSENT),
        {},
        300.0 + SLACK_SECONDS,
        Expired(EndReason.NOT_JOINED, absent=True),
        id="a caller who never joins ends it",
    ),
    pytest.param(
        ready(CallerPresence.AWAY, caller_since=NOON + 100),
        {},
        130.0 + SLACK_SECONDS,
        Expired(EndReason.CALLER_LEFT, absent=True),
        id="a caller who does not come back ends it",
    ),
    pytest.param(
        ready(CallerPresence.AWAY, caller_since=NOON + 100),
        {"hangup_grace": 90.0},
        190.0 + SLACK_SECONDS,
        Expired(EndReason.CALLER_LEFT, absent=True),
        id="the longer of the two graces counts",
    ),
    pytest.param(
        a_session_in(State.RECOVERING, caller=CallerPresence.AWAY, caller_since=NOON + 100, **READY),
        {},
        130.0 + SLACK_SECONDS,
        Expired(EndReason.CALLER_LEFT, absent=True),
        id="also while it recovers",
    ),
    pytest.param(
        ready(CallerPresence.ABSENT, last_active=NOON + 50),
        {"idle_seconds": 60.0},
        110.0,
        Expired(EndReason.IDLE, absent=True),
        id="nobody there and no request ends it",
    ),
    pytest.param(
        ready(CallerPresence.AWAY, caller_since=NOON + 100),
        {"idle_seconds": 5.0},
        105.0,
        Expired(EndReason.IDLE, absent=True),
        id="a caller's absence is not counted from before it began",
    ),
    pytest.param(
        ready(CallerPresence.PRESENT),
        LONG,
        601.0 + SLACK_SECONDS,
        Expired(EndReason.MAX_DURATION),
        id="the longest length ends it with its caller there",
    ),
    pytest.param(
        ready(CallerPresence.AWAY, caller_since=NOON + 590),
        LONG,
        601.0 + SLACK_SECONDS,
        Expired(EndReason.MAX_DURATION),
        id="of two rules the earlier decides",
    ),
]


@pytest.mark.parametrize(("session", "changes", "seconds", "expected"), TABLE)
def test_a_session_is_over_when_its_time_has_come(
    session: Session, changes: dict[str, Any], seconds: float, expected: Expired
) -> None:
    assert verdict(session, limits(**changes), NOON + seconds) == expected


@pytest.mark.parametrize(("session", "changes", "seconds", "expected"), TABLE)
def test_a_session_goes_on_until_then(
    session: Session, changes: dict[str, Any], seconds: float, expected: Expired
) -> None:
    assert verdict(session, limits(**changes), NOON + seconds - 0.001) is None


@pytest.mark.parametrize(
    ("session", "changes"),
    [
        pytest.param(ready(CallerPresence.PRESENT), {}, id="a caller who is there may talk for ever"),
        pytest.param(a_session_in(State.QUEUED), LONG, id="what is queued has its own deadline"),
        pytest.param(
            a_session_in(State.RESERVED, caller=CallerPresence.PRESENT, deadline=NOON + 599),
            LONG,
            id="so has what was reserved, once its caller has come",
        ),
        pytest.param(a_session(job=None), LONG, id="so has a start that no agent has claimed"),
        pytest.param(a_session(job="job_a", worker="worker_a"), LONG, id="and one whose agent is on its way"),
        *(pytest.param(a_session_in(state), LONG, id=f"what is {state} is over already") for state in sorted(FINAL)),
    ],
)
def test_some_sessions_never_end_by_themselves(session: Session, changes: dict[str, Any]) -> None:
    assert verdict(session, limits(**changes), NOON + 1e9) is None


def test_of_two_rules_that_are_both_long_due_the_first_is_the_reason() -> None:
    session = ready(CallerPresence.AWAY, caller_since=NOON + 100)
    assert verdict(session, limits(**LONG), NOON + 1e6) == Expired(EndReason.CALLER_LEFT, absent=True)


def test_a_caller_who_never_came_gives_way_while_others_wait() -> None:
    session = ready(CallerPresence.ABSENT)
    over = Expired(EndReason.NOT_JOINED, absent=True)
    assert verdict(session, limits(), NOON + UNJOINED_SECONDS) is None
    assert verdict(session, limits(), NOON + UNJOINED_SECONDS, crowded=True) == over
    assert verdict(session, limits(), NOON + UNJOINED_SECONDS - 0.001, crowded=True) is None
    assert verdict(session, limits(join_seconds=1), NOON + 1 + SLACK_SECONDS, crowded=True) == over
    for caller in (CallerPresence.PRESENT, CallerPresence.AWAY):
        assert verdict(ready(caller, caller_since=NOON), limits(), NOON + 20, crowded=True) is None
