"""Which workers take a call, and how many sessions they carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dispatcher.fleet.workers import chosen, seats, serving, taking
from session.store.ports import SILENT_SECONDS, Worker
from tests.session.making import NOON, a_worker

FULL: dict[str, Any] = {"active": 4, "idle": 0, "starting": 0}
OTHER: dict[str, Any] = {"agents": {"other": ()}}


def able(worker_id: str = "worker_a", *, seen: float = 0.0, **changes: Any) -> Worker:
    """A worker with 4 slots; `seen`: seconds since its last heartbeat."""
    return a_worker(worker_id, **{"agents": {"default": ()}, "seen_at": NOON - seen, **changes})


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        pytest.param([able(), able("worker_b")], 8, id="slots are summed"),
        pytest.param([able(**FULL), able("worker_b", **OTHER)], 8, id="over all agents: theirs are counted together"),
        pytest.param([able(draining=True, active=3), able("worker_b")], 7, id="calls of a worker that drains stay"),
        pytest.param([able(seen=SILENT_SECONDS, active=3), able("worker_b")], 4, id="calls of a dead one must move"),
        pytest.param([able(left=True, active=3), able("worker_b")], 4, id="one that left has no calls"),
        pytest.param([], 0, id="nobody carries nothing"),
    ],
)
def test_there_are_as_many_seats_as_the_workers_carry_sessions(workers: Sequence[Worker], expected: int) -> None:
    assert seats(workers, NOON) == expected


@pytest.mark.parametrize(
    ("worker", "takes", "serves"),
    [
        pytest.param(able(), True, True, id="one that lives"),
        pytest.param(able(**FULL), True, True, id="a full one: a slot may be free soon"),
        pytest.param(able(draining=True), False, False, id="not one that drains"),
        pytest.param(able(left=True), False, False, id="not one that left"),
        pytest.param(able(seen=SILENT_SECONDS - 0.1), True, True, id="one that missed some heartbeats"),
        pytest.param(
            able(seen=SILENT_SECONDS), False, True, id="not one that fell silent, if its silence is asked for"
        ),
        pytest.param(able(**OTHER), True, False, id="not one without the agent, if the agent is asked for"),
    ],
)
def test_who_takes_new_calls(worker: Worker, takes: bool, serves: bool) -> None:
    assert taking([worker], NOON) == ([worker] if takes else [])
    assert serving([worker], "default") == ([worker] if serves else [])


@pytest.mark.parametrize(
    ("workers", "name"),
    [
        pytest.param(
            [able("a", idle=0, active=0), able("b", idle=1, active=3)], "b", id="a warm one before a free one"
        ),
        pytest.param([able("a", active=2), able("b", active=1)], "b", id="of two warm ones the one with more room"),
        pytest.param([able("b"), able("a")], "b", id="of two equal ones always the same"),
    ],
)
def test_who_is_asked(workers: list[Worker], name: str) -> None:
    assert chosen(workers).id == name
