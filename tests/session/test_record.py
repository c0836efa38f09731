import itertools
import re
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from session.errors import IllegalTransition, Stale
from session.record import (
    FINAL,
    JOINABLE,
    LIVE,
    NEXT,
    SEATED,
    AttemptStep,
    EndReason,
    ErrorReason,
    State,
    accepted,
    became_ready,
    claimed,
    connected_again,
    cut_off,
    dispatched,
    ended,
    failed,
    lost,
    new_session_id,
    step,
)
from tests.session.making import NOON, a_session, a_session_in

LATER = NOON + 5

MAY_BECOME = {
    "reserved": "starting ended error",
    "queued": "starting ended error",
    "starting": "starting ready ended error",
    "ready": "ready recovering ended error",
    "recovering": "recovering ready ended error",
    "ended": "",
    "error": "",
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_a_session_moves_only_as_the_table_says(before: State, after: State) -> None:
    session = a_session(state=before)
    if after in MAY_BECOME[before].split():
        assert session.to(after, LATER).state is after
    else:
        with pytest.raises(IllegalTransition, match=f"from {before} to {after}"):
            session.to(after, LATER)


def test_the_table_has_a_line_for_every_state() -> None:
    assert set(NEXT) == set(State) == {State(name) for name in MAY_BECOME}


def test_the_groups_of_states_fit_together() -> None:
    assert {State.ENDED, State.ERROR} == FINAL
    assert set(State) == LIVE | FINAL
    assert SEATED < JOINABLE < LIVE
    assert {State.RESERVED} == LIVE - JOINABLE


def test_since_changes_with_the_state_only() -> None:
    session = a_session()
    assert session.to(State.STARTING, LATER, attempt=2).since == NOON
    assert session.to(State.READY, LATER).since == LATER


def test_moving_leaves_the_old_session_as_it_was() -> None:
    session = a_session()
    session.to(State.READY, LATER, job="job_a")
    assert (session.state, session.job) == (State.STARTING, None)
    with pytest.raises(FrozenInstanceError):
        session.state = State.READY  # type: ignore[misc]


def test_ids_are_unguessable_and_never_the_same() -> None:
    ids = {new_session_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"session_[0-9a-f]{32}", each) for each in ids)


@pytest.mark.parametrize(
    ("state", "attempt", "job", "passes"),
    [
        (State.STARTING, 2, "job_a", True),
        (State.READY, 2, "job_a", True),
        (State.RECOVERING, 2, "job_a", True),
        (State.READY, 1, "job_a", False),  # the ghost of an earlier attempt
        (State.READY, 3, "job_a", False),
        (State.READY, 2, "job_b", False),  # another job with the same attempt
        (State.READY, 2, "", False),
        (State.ENDED, 2, "job_a", False),
        (State.ERROR, 2, "job_a", False),
    ],
)
def test_the_fence_lets_the_current_agent_of_a_live_session_pass(
    state: State, attempt: int, job: str, passes: bool
) -> None:
    session = a_session(state=state, attempt=2, job="job_a")
    if passes:
        assert session.fenced(attempt, job) is session
    else:
        with pytest.raises(Stale):
            session.fenced(attempt, job)


@pytest.mark.parametrize("state", list(State))
def test_the_fence_lets_nobody_pass_before_a_claim(state: State) -> None:
    with pytest.raises(Stale):
        a_session(state=state, job=None).fenced(1, "job_a")


CLAIMS: list[tuple[dict[str, Any], int, str, State | None]] = [
    # the record, the claim's attempt and job, the state after it (None: refused)
    ({"state": State.STARTING}, 1, "job_a", State.STARTING),
    ({"state": State.RESERVED}, 1, "job_a", State.STARTING),
    ({"state": State.RECOVERING, "attempt": 2}, 2, "job_b", State.RECOVERING),
    ({"state": State.STARTING, "job": "job_a"}, 1, "job_a", State.STARTING),  # its first answer was lost
    ({"state": State.READY, "job": "job_a"}, 1, "job_a", State.READY),
    ({"state": State.STARTING, "job": "job_a"}, 1, "job_b", None),
    ({"state": State.READY, "job": "job_a"}, 1, "job_b", None),
    ({"state": State.READY, "job": None}, 1, "job_b", None),
    ({"state": State.STARTING, "attempt": 2}, 1, "job_a", None),
    ({"state": State.STARTING, "attempt": 2}, 3, "job_a", None),
    ({"state": State.RECOVERING, "attempt": 2}, 1, "job_a", None),
    ({"state": State.ENDED, "job": "job_a"}, 1, "job_a", None),
    ({"state": State.ERROR}, 1, "job_a", None),
    ({"state": State.STARTING, "accepted": "job_a"}, 1, "job_a", State.STARTING),
    ({"state": State.STARTING, "accepted": "job_a"}, 1, "job_b", None),  # dispatched twice: one was accepted
    ({"state": State.RECOVERING, "claimable": False}, 1, "job_b", None),  # its agent was lost
]


@pytest.mark.parametrize(("record", "attempt", "job", "after"), CLAIMS)
def test_a_claim_succeeds_once_per_attempt(record: dict[str, Any], attempt: int, job: str, after: State | None) -> None:
    session = a_session(**record)
    if after is None:
        with pytest.raises(Stale):
            claimed(session, attempt=attempt, job=job, worker="worker_a", now=LATER)
    else:
        result = claimed(session, attempt=attempt, job=job, worker="worker_a", now=LATER)
        assert (result.state, result.attempt, result.job) == (after, attempt, job)


def test_a_repeated_claim_changes_nothing() -> None:
    session = claimed(a_session(), attempt=1, job="job_a", worker="worker_a", now=NOON)
    assert claimed(session, attempt=1, job="job_a", worker="worker_a", now=LATER) is session


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.RESERVED, State.STARTING),
        (State.QUEUED, State.STARTING),
        (State.STARTING, State.STARTING),
        (State.READY, State.RECOVERING),
        (State.RECOVERING, State.RECOVERING),
    ],
)
def test_every_dispatch_is_a_new_attempt_without_an_agent(before: State, after: State) -> None:
    session = dispatched(a_session_in(before, attempt=4, tries=1), LATER, deadline=LATER + 2)
    assert (session.state, session.attempt, session.tries) == (after, 5, 2)
    assert (session.job, session.worker, session.accepted, session.claimable) == (None, None, None, True)
    assert (session.deadline, session.progress_at) == (LATER + 2, LATER)


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_session_that_is_over_is_not_dispatched_again(state: State) -> None:
    with pytest.raises(IllegalTransition):
        dispatched(a_session(state=state), LATER, deadline=LATER)


def test_only_the_first_ready_counts_as_the_start() -> None:
    first = became_ready(
        a_session_in(State.STARTING, tries=2, steps={"room": 3.0}),
        attempt=1,
        job="job_a",
        now=LATER,
        steps={"ready": 9},
    )
    assert (first.startup_seconds, first.tries, first.steps) == (5.0, 0, {"room": 3.0, "ready": 9})
    gone = lost(first, job="job_a", now=LATER + 9)
    second = dispatched(gone, LATER + 10, deadline=LATER + 12)
    again = claimed(second, attempt=2, job="job_b", worker="worker_b", now=LATER + 10)
    again = became_ready(again, attempt=2, job="job_b", now=LATER + 11, steps={})
    assert (again.state, again.startup_seconds) == (State.READY, 5.0)


def test_a_session_that_never_was_ready_has_no_startup_time() -> None:
    assert a_session().startup_seconds is None


def test_each_step_of_an_attempt_moves_its_deadline() -> None:
    session = dispatched(a_session(), NOON, deadline=NOON + 2)
    assert (step(session), session.deadline) == (AttemptStep.DISPATCHED, NOON + 2)
    session = accepted(session, attempt=2, job="job_a", worker="worker_a", now=NOON + 1)
    assert (step(session), session.deadline, session.worker) == (AttemptStep.ACCEPTED, NOON + 5, "worker_a")
    session = claimed(session, attempt=2, job="job_a", worker="worker_a", now=NOON + 2)
    assert (step(session), session.deadline) == (AttemptStep.CLAIMED, NOON + 14)
    session = became_ready(session, attempt=2, job="job_a", now=NOON + 3, steps={})
    assert (session.state, session.deadline, session.tries) == (State.READY, None, 0)


REFUSED: list[dict[str, Any]] = [
    {"attempt": 2},
    {"attempt": 3, "job": "job_b"},
    {"attempt": 3, "accepted": "job_b"},
    {"attempt": 3, "claimable": False},
    {"attempt": 3, "state": State.ENDED},
]


@pytest.mark.parametrize("record", REFUSED)
def test_a_worker_accepts_nothing_that_is_stale_or_taken(record: dict[str, Any]) -> None:
    with pytest.raises(Stale):
        accepted(a_session(**record), attempt=3, job="job_a", worker="worker_a", now=LATER)


def test_the_same_job_may_be_accepted_again() -> None:
    session = accepted(a_session(), attempt=1, job="job_a", worker="worker_a", now=NOON)
    assert accepted(session, attempt=1, job="job_a", worker="worker_b", now=LATER) is session


def test_a_ready_session_that_loses_its_agent_recovers_and_is_due_at_once() -> None:
    session = lost(a_session_in(State.READY, tries=0), job="job_a", now=LATER)
    assert (session.state, session.job, session.worker, session.deadline) == (State.RECOVERING, None, None, LATER)
    assert (session.recoveries, session.losses, session.claimable) == (1, (LATER,), False)


@pytest.mark.parametrize("state", [State.STARTING, State.RECOVERING, State.RESERVED])
def test_an_agent_lost_before_it_was_ready_counts_as_a_try_and_not_as_a_recovery(state: State) -> None:
    session = lost(a_session(state=state, accepted="job_a", tries=1), job="job_a", now=LATER)
    assert (session.state, session.tries, session.recoveries, session.deadline) == (state, 1, 0, LATER)


def test_only_losses_of_the_last_minute_are_remembered() -> None:
    session = lost(a_session_in(State.READY, losses=(NOON - 60, NOON - 1)), job="job_a", now=NOON)
    assert session.losses == (NOON - 1, NOON)


@pytest.mark.parametrize("record", [{"job": "job_b"}, {"job": "job_a", "state": State.ENDED}, {}])
def test_the_loss_of_anybody_else_changes_nothing(record: dict[str, Any]) -> None:
    with pytest.raises(Stale):
        lost(a_session(**record), job="job_a", now=LATER)


def test_an_agent_that_was_replaced_cannot_report_ready() -> None:
    session = dispatched(a_session_in(State.STARTING), LATER, deadline=LATER + 2)
    with pytest.raises(Stale):
        became_ready(session, attempt=1, job="job_a", now=LATER, steps={})


@pytest.mark.parametrize("state", sorted(LIVE))
def test_every_live_session_can_end_either_way(state: State) -> None:
    session = a_session(state=state, deadline=NOON + 9)
    over = ended(session, EndReason.STOPPED, LATER)
    assert (over.state, over.end_reason, over.error, over.ended_at, over.deadline) == (
        "ended",
        "stopped",
        None,
        LATER,
        None,
    )
    over = failed(session, ErrorReason.LOST, LATER)
    assert (over.state, over.end_reason, over.error, over.ended_at, over.deadline) == (
        "error",
        None,
        "lost",
        LATER,
        None,
    )


@pytest.mark.parametrize("state", sorted(FINAL))
def test_the_first_ending_stands(state: State) -> None:
    over = a_session(state=state)
    assert ended(over, EndReason.STOPPED, LATER) is over
    assert failed(over, ErrorReason.LOST, LATER) is over


def test_an_agent_that_is_cut_from_livekit_is_looked_into_at_once_and_no_more_once_it_is_back() -> None:
    session = a_session_in(State.READY)
    said = cut_off(session, attempt=1, job="job_a", now=LATER)
    assert (said.state, said.cut_off, said.deadline) == (State.READY, True, LATER)
    again = connected_again(said, attempt=1, job="job_a")
    assert (again.cut_off, again.deadline) == (False, None)
    assert connected_again(again, attempt=1, job="job_a") is again
    gone = lost(said, job="job_a", now=LATER)
    assert (gone.cut_off, gone.deadline) == (False, LATER)


def test_before_an_agent_was_ready_its_deadline_tells() -> None:
    session = a_session_in(State.STARTING, deadline=LATER + 5)
    assert cut_off(session, attempt=1, job="job_a", now=LATER) is session


@pytest.mark.parametrize("changes", [{"attempt": 2}, {"job": "job_b"}, {"state": State.ENDED}])
def test_only_the_current_agent_says_that_it_is_cut_off(changes: dict[str, Any]) -> None:
    session = a_session(**{"state": State.READY, "job": "job_a", **changes})
    with pytest.raises(Stale):
        cut_off(session, attempt=1, job="job_a", now=LATER)
    with pytest.raises(Stale):
        connected_again(session, attempt=1, job="job_a")
