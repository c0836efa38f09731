"""What is to be done about an attempt, by how far it came and what the machine is doing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.attempts.policy import (
    BACKOFF_SECONDS,
    LONGER_EACH_TRY,
    LOOK_AGAIN_SECONDS,
    RATION,
    RECOVERY_PATIENCE_SECONDS,
    SLOWER_BY,
    START_PATIENCE_SECONDS,
    Decision,
    Facts,
    GiveUp,
    Redispatch,
    Wait,
    stretch,
    verdict,
)
from dispatcher.fleet.workers import FRESH_SECONDS
from session.record import (
    LOSS_WINDOW_SECONDS,
    MOST_LOSSES,
    MOST_TRIES,
    STEP_SECONDS,
    AttemptStep,
    ErrorReason,
    Session,
    State,
    lost,
)
from session.store.ports import Worker
from tests.session.making import NOON, a_session, a_session_in, a_worker

CLAIM_SECONDS = 2.0
ACCEPT_SECONDS = STEP_SECONDS[AttemptStep.ACCEPTED]
READY_SECONDS = STEP_SECONDS[AttemptStep.CLAIMED]
STEPS: dict[AttemptStep, dict[str, Any]] = {
    AttemptStep.DISPATCHED: {},
    AttemptStep.ACCEPTED: {"accepted": "job_a"},
    AttemptStep.CLAIMED: {"accepted": "job_a", "job": "job_a"},
}


def able(worker_id: str = "worker_a", *, seen: float = 0.0, **changes: Any) -> Worker:
    """A worker with slots, last heard of so many seconds before it is looked at."""
    return a_worker(worker_id, **{"seen_at": -seen, **changes})


FULL: dict[str, Any] = {"active": 4, "slots": 4}


def judge(session: Session, seconds: float, workers: Sequence[Worker] = (able(),), **changes: Any) -> Decision:
    """The verdict so many seconds after noon."""
    now = NOON + seconds
    heard_of = [replace(each, seen_at=now + each.seen_at) for each in workers]
    facts = {"under_way": 1, "recovering": 0, "claim_seconds": CLAIM_SECONDS, "chance": 0.5, **changes}
    return verdict(session, Facts(now=now, workers=heard_of, **facts))


def dispatched_at_noon(
    state: State = State.STARTING, step: AttemptStep = AttemptStep.DISPATCHED, **changes: Any
) -> Session:
    facts: dict[str, Any] = {"progress_at": NOON, "tries": 1, **STEPS[step], **changes}
    return a_session(state=state, **facts)


def dead_at_noon(state: State = State.STARTING, **changes: Any) -> Session:
    """Its agent died at noon."""
    return dispatched_at_noon(state, claimable=False, **changes)


AGAIN = "another attempt"


def said(found: Decision) -> Decision | str:
    return AGAIN if isinstance(found, Redispatch) and not found.farewell else found


@pytest.mark.parametrize("state", [State.RESERVED, State.STARTING, State.RECOVERING])
@pytest.mark.parametrize(
    ("step", "seconds"),
    [
        (AttemptStep.DISPATCHED, CLAIM_SECONDS),
        (AttemptStep.ACCEPTED, ACCEPT_SECONDS),
        (AttemptStep.CLAIMED, READY_SECONDS),
    ],
)
def test_an_attempt_has_its_time_at_each_step_and_then_another_is_made(
    state: State, step: AttemptStep, seconds: float
) -> None:
    session = dispatched_at_noon(state, step)
    assert judge(session, seconds - 0.001) == Wait(NOON + seconds)
    assert judge(session, seconds) == Redispatch(deadline=NOON + seconds + CLAIM_SECONDS, deployment="")


def test_how_long_a_worker_may_take_to_accept_can_be_set() -> None:
    assert judge(dispatched_at_noon(), 4.9, claim_seconds=5.0) == Wait(NOON + 5.0)


@pytest.mark.parametrize(
    ("session", "seconds"),
    [
        pytest.param(dispatched_at_noon(tries=2), CLAIM_SECONDS * LONGER_EACH_TRY, id="the second try"),
        pytest.param(
            dispatched_at_noon(tries=3), CLAIM_SECONDS * LONGER_EACH_TRY**2, id="the third try, and still longer"
        ),
        pytest.param(
            dispatched_at_noon(step=AttemptStep.CLAIMED, tries=2),
            READY_SECONDS * LONGER_EACH_TRY,
            id="the second try's agent on its way",
        ),
    ],
)
def test_each_try_has_longer_and_not_all_of_them_equally_long(session: Session, seconds: float) -> None:
    assert judge(session, 0, chance=0.0) == Wait(NOON + seconds)
    assert judge(session, 0, chance=1.0) == Wait(NOON + seconds * 1.1)


@pytest.mark.parametrize(
    ("session", "due"),
    [
        pytest.param(a_session(tries=1), NOON, id="from the record's last change where nothing is noted"),
        pytest.param(
            a_session(state=State.RESERVED, caller_since=NOON + 90),
            NOON + 90,
            id="of a reserved session from its caller's coming",
        ),
        pytest.param(
            a_session(
                state=State.RESERVED, caller_since=NOON + 90, progress_at=NOON + 91, **STEPS[AttemptStep.DISPATCHED]
            ),
            NOON + 91,
            id="from the last progress where there was some",
        ),
    ],
)
def test_time_counts(session: Session, due: float) -> None:
    assert judge(session, 0) == Wait(due + CLAIM_SECONDS)


def test_slow_is_not_lost() -> None:
    session = dispatched_at_noon()
    twenty = CLAIM_SECONDS * (1 + 19 / SLOWER_BY)
    assert judge(session, twenty - 0.001, under_way=20) == Wait(NOON + twenty)
    assert said(judge(session, twenty, under_way=20)) == AGAIN


@pytest.mark.parametrize(
    ("under_way", "longer"),
    [(0, 1.0), (1, 1.0), (SLOWER_BY + 1, 2.0), (2 * SLOWER_BY + 1, 3.0)],
    ids=["nothing", "one alone", "so many that it doubles", "so many more"],
)
def test_deadlines_stretch_with_what_is_under_way(under_way: int, longer: float) -> None:
    assert stretch(under_way) == longer


@pytest.mark.parametrize("under_way", [1, 50])
def test_a_call_that_lost_its_agent_gets_another_at_once(under_way: int) -> None:
    ready = a_session_in(State.READY, attempt=3)
    found = judge(lost(ready, job="job_a", now=NOON), 0, under_way=under_way)
    assert found == Redispatch(deadline=NOON + CLAIM_SECONDS, deployment="")


@pytest.mark.parametrize(
    ("tries", "chance", "seconds"),
    [
        pytest.param(1, 0.0, BACKOFF_SECONDS * 0.5, id="the second try, soonest"),
        pytest.param(1, 1.0, BACKOFF_SECONDS * 1.5, id="the second try, latest"),
        pytest.param(2, 0.5, BACKOFF_SECONDS * 2, id="the third try waits twice as long"),
    ],
)
@pytest.mark.parametrize("state", [State.STARTING, State.RECOVERING])
def test_after_a_death_the_next_try_waits_a_little(state: State, tries: int, chance: float, seconds: float) -> None:
    session = dead_at_noon(state, tries=tries)
    assert judge(session, seconds - 0.001, chance=chance) == Wait(NOON + seconds)
    assert said(judge(session, seconds, chance=chance)) == AGAIN


LONG = 60.0


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        pytest.param(dispatched_at_noon(), ErrorReason.NOT_CLAIMED, id="no worker accepted"),
        pytest.param(
            dispatched_at_noon(step=AttemptStep.ACCEPTED), ErrorReason.NOT_CLAIMED, id="accepted and never claimed"
        ),
        pytest.param(
            dispatched_at_noon(step=AttemptStep.CLAIMED), ErrorReason.CONNECT_FAILED, id="claimed and never there"
        ),
        pytest.param(dead_at_noon(), ErrorReason.LOST, id="every agent died"),
        pytest.param(dispatched_at_noon(State.RESERVED), ErrorReason.NOT_CLAIMED, id="nobody came to who had a token"),
        *(
            pytest.param(dispatched_at_noon(State.RECOVERING, step), ErrorReason.LOST, id=f"a recovery {step} in vain")
            for step in AttemptStep
        ),
        pytest.param(dead_at_noon(State.RECOVERING), ErrorReason.LOST, id="every replacement died"),
    ],
)
def test_after_three_tries_it_is_over_for_the_true_reason(session: Session, reason: ErrorReason) -> None:
    assert judge(replace(session, tries=MOST_TRIES), LONG) == GiveUp(reason)
    assert judge(replace(session, tries=MOST_TRIES), LONG, workers=()) == GiveUp(reason)
    assert said(judge(replace(session, tries=MOST_TRIES - 1), LONG)) == AGAIN


def test_the_third_try_has_its_time_too() -> None:
    assert isinstance(judge(dispatched_at_noon(tries=MOST_TRIES), CLAIM_SECONDS), Wait)


NOBODY: list[Any] = [
    pytest.param([], id="no worker"),
    pytest.param([able(seen=FRESH_SECONDS + 0.1)], id="a worker that missed two heartbeats and may be dead"),
    pytest.param([able(**FULL)], id="a worker whose slots are all taken"),
    pytest.param([able(seen=3.0), able("worker_b", **FULL)], id="one of either kind"),
]


@pytest.mark.parametrize("workers", NOBODY)
@pytest.mark.parametrize("state", [State.STARTING, State.RECOVERING])
def test_nothing_is_dispatched_to(state: State, workers: list[Worker]) -> None:
    assert judge(dispatched_at_noon(state), 5.0, workers) == Wait(NOON + 5.0 + LOOK_AGAIN_SECONDS)


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param([able(seen=FRESH_SECONDS)], id="a worker whose last heartbeat is just recent enough"),
        pytest.param([able(active=3, slots=4)], id="a worker with one slot"),
        pytest.param([able(**FULL), able("worker_b")], id="one of two"),
    ],
)
def test_but_it_is_to(workers: list[Worker]) -> None:
    assert said(judge(dispatched_at_noon(), 5.0, workers)) == AGAIN


@pytest.mark.parametrize(
    ("session", "since", "patience", "reason"),
    [
        pytest.param(
            dispatched_at_noon(), NOON, START_PATIENCE_SECONDS, ErrorReason.NO_WORKER, id="of a start, half a minute"
        ),
        pytest.param(
            dispatched_at_noon(State.RECOVERING, since=NOON - 5),
            NOON - 5,
            RECOVERY_PATIENCE_SECONDS,
            ErrorReason.LOST,
            id="of a call in progress, a minute since it lost its agent",
        ),
        pytest.param(
            dispatched_at_noon(State.RESERVED, since=NOON - 500, caller_since=NOON),
            NOON,
            START_PATIENCE_SECONDS,
            ErrorReason.NO_WORKER,
            id="of a reserved session, half a minute since its caller came",
        ),
    ],
)
def test_waiting_for_a_worker_costs_no_try_and_ends(
    session: Session, since: float, patience: float, reason: ErrorReason
) -> None:
    end = since - NOON + patience
    assert judge(session, end - 0.001, []) == Wait(NOON + end - 0.001 + LOOK_AGAIN_SECONDS)
    assert judge(session, end, []) == GiveUp(reason)


def test_a_start_that_waited_for_a_slot_in_vain_says_so() -> None:
    assert judge(dispatched_at_noon(), START_PATIENCE_SECONDS, [able(**FULL)]) == GiveUp(ErrorReason.NO_CAPACITY)
    assert judge(dispatched_at_noon(), START_PATIENCE_SECONDS, [able(**FULL, seen=3)]) == GiveUp(ErrorReason.NO_WORKER)


@pytest.mark.parametrize(
    ("workers", "recovering"),
    [([able()], RATION), ([able(), able("worker_b", **FULL)], 2 * RATION)],
    ids=["of one worker", "of two workers"],
)
def test_recoveries_are_rationed(workers: list[Worker], recovering: int) -> None:
    session = dispatched_at_noon(State.RECOVERING)
    assert said(judge(session, 5.0, workers, recovering=recovering - 1)) == AGAIN
    assert judge(session, 5.0, workers, recovering=recovering) == Wait(NOON + 5.0 + LOOK_AGAIN_SECONDS / 2)


def test_starts_are_not() -> None:
    assert said(judge(dispatched_at_noon(), 5.0, recovering=99)) == AGAIN


def losing(times: int, *, newest: float = NOON) -> Session:
    """A call whose agent has just died, once a second for so many times."""
    losses = tuple(newest - number for number in reversed(range(times)))
    return dead_at_noon(State.RECOVERING, tries=0, losses=losses)


def test_a_call_that_loses_its_agent_again_and_again_is_told_goodbye() -> None:
    assert judge(losing(MOST_LOSSES), 0) == Redispatch(deadline=NOON + CLAIM_SECONDS, deployment="")
    assert judge(losing(MOST_LOSSES + 1), 0) == Redispatch(deadline=NOON + CLAIM_SECONDS, deployment="", farewell=True)


def test_losses_of_long_ago_do_not_count() -> None:
    session = replace(losing(MOST_LOSSES + 1), losses=(NOON - LOSS_WINDOW_SECONDS, NOON - 2, NOON - 1, NOON))
    assert said(judge(session, 0)) == AGAIN


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(dead_at_noon(State.RECOVERING, farewell=True), id="that died as well"),
        pytest.param(dispatched_at_noon(State.RECOVERING, farewell=True), id="that never came"),
        pytest.param(
            lost(a_session_in(State.READY, farewell=True), job="job_a", now=NOON), id="that had come and then died"
        ),
    ],
)
def test_after_the_agent_that_was_to_say_goodbye(session: Session) -> None:
    assert judge(session, LONG) == GiveUp(ErrorReason.LOST)


def test_the_deployment_is_chosen_anew_from_those_who_can() -> None:
    workers = [able("worker_a", deployment="blue", **FULL), able("worker_b", deployment="green", active=3)]
    found = judge(dispatched_at_noon(deployment="blue"), 5.0, workers)
    assert isinstance(found, Redispatch)
    assert found.deployment == "green"
