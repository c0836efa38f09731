from typing import Any, Literal

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.api.errors import STATUS
from dispatcher.observe.metrics import AGAIN, IGNORED, OUTCOMES, REFUSED, REPAIRS, TASKS, Metrics
from session.errors import NoCapacity
from session.provider_circuits import circuit_of
from session.record import EndReason, ErrorReason, State, ended, failed
from session.store.ports import Stats
from tests.session.making import NOON, a_session_in, a_worker


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    return Metrics(registry)


def value(registry: CollectorRegistry, name: str, **labels: Any) -> float | None:
    return registry.get_sample_value(f"greenroom_{name}", labels)


def test_every_series_is_there_before_its_first_event(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.routes(["/api/health"])
    assert {value(registry, "starts_total", outcome=each) for each in OUTCOMES} == {0}
    assert {value(registry, "sessions_ended_total", reason=each) for each in (*EndReason, *ErrorReason)} == {0}
    assert {value(registry, "sessions", state=each) for each in State} == {0}
    assert {value(registry, "dispatches_again_total", what=each) for each in AGAIN} == {0}
    assert {value(registry, "repairs_total", kind=each) for each in REPAIRS} == {0}
    assert {value(registry, "webhooks_ignored_total", why=each) for each in IGNORED} == {0}
    assert {value(registry, "refused", what=each) for each in REFUSED} == {0}
    assert (value(registry, "ghosts_removed_total"), value(registry, "judging")) == (0, 0)
    for status in ("2xx", "3xx", "4xx", "5xx"):
        assert value(registry, "http_requests_total", route="/api/health", status=status) == 0
    assert value(registry, "http_request_seconds_count", route="/api/health") == 0


def test_every_code_of_a_refusal_is_an_outcome() -> None:
    assert {code for _, code in STATUS.values()} == set(OUTCOMES) - {"new", "reused", "repeated"}


@pytest.mark.parametrize(
    ("status", "counted"), [(200, "2xx"), (201, "2xx"), (307, "3xx"), (404, "4xx"), (422, "4xx"), (503, "5xx")]
)
def test_an_answer_is_counted_by_the_class_of_its_status(
    registry: CollectorRegistry, metrics: Metrics, status: int, counted: str
) -> None:
    metrics.answered("/api/health", status, 0.03)
    assert value(registry, "http_requests_total", route="/api/health", status=counted) == 1
    assert value(registry, "http_request_seconds_sum", route="/api/health") == 0.03


@pytest.mark.parametrize("promised", ["0.02", "0.06"])
def test_what_is_promised_can_be_read_from_the_histogram(
    registry: CollectorRegistry, metrics: Metrics, promised: str
) -> None:
    metrics.answered("/api/health", 200, float(promised))
    metrics.answered("/api/health", 200, float(promised) + 0.001)
    assert value(registry, "http_request_seconds_bucket", route="/api/health", le=promised) == 1


@pytest.mark.parametrize("outcome", ["new", "reused", "repeated"])
def test_a_start_is_counted_with_its_seconds(
    registry: CollectorRegistry, metrics: Metrics, outcome: Literal["new", "reused", "repeated"]
) -> None:
    metrics.started(outcome, 0.4)
    assert [each for each in OUTCOMES if value(registry, "starts_total", outcome=each)] == [outcome]
    assert value(registry, "start_seconds_sum") == 0.4


def test_a_refused_start_is_counted_by_its_code_and_has_no_seconds(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    metrics.refused(NoCapacity())
    assert [each for each in OUTCOMES if value(registry, "starts_total", outcome=each)] == ["no_capacity"]
    assert value(registry, "start_seconds_count") == 0


def test_an_end_is_counted_by_its_reason_good_or_bad(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.ended(ended(a_session_in(State.READY), EndReason.IDLE, NOON))
    metrics.ended(failed(a_session_in(State.STARTING), ErrorReason.NOT_CLAIMED, NOON))
    counted = [each for each in (*EndReason, *ErrorReason) if value(registry, "sessions_ended_total", reason=each)]
    assert counted == [EndReason.IDLE, ErrorReason.NOT_CLAIMED]


@pytest.mark.parametrize(
    ("state", "what"),
    [(State.STARTING, "start"), (State.RECOVERING, "recovery")],
    ids=["an agent that did not come", "an agent that died"],
)
def test_an_attempt_after_the_first_is_counted_by_what_it_makes_good(
    registry: CollectorRegistry, metrics: Metrics, state: State, what: str
) -> None:
    metrics.dispatched_again(a_session_in(state))
    assert [each for each in AGAIN if value(registry, "dispatches_again_total", what=each)] == [what]


def test_what_was_mended_is_counted_by_its_kind(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.repaired("seat", 2)
    metrics.repaired("room")
    metrics.ghost_removed()
    assert (value(registry, "repairs_total", kind="seat"), value(registry, "repairs_total", kind="room")) == (2, 1)
    assert value(registry, "ghosts_removed_total") == 1


def test_a_task_that_failed_is_counted_by_its_name_and_one_of_no_name_as_other(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    for task in ("slow loop", "slow loop", "never heard of"):
        metrics.task_failed(task)
    assert {each: value(registry, "task_failures_total", task=each) for each in TASKS} == {
        **dict.fromkeys(TASKS, 0),
        "slow loop": 2,
        "other": 1,
    }


def test_whether_silence_is_judged_is_shown_as_it_is_now(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.judging(True)
    assert value(registry, "judging") == 1
    metrics.judging(False)
    assert value(registry, "judging") == 0


def test_what_the_store_says_is_shown_and_the_past_forgotten(registry: CollectorRegistry, metrics: Metrics) -> None:
    both = [a_worker(idle=2), a_worker("worker_b", idle=1)]
    metrics.observe({State.READY: 3, State.STARTING: 1}, both, Stats(0, 0, 0.0), [])
    metrics.observe({State.READY: 2}, [a_worker(idle=2)], Stats(0, 0, 0.0, refused_claims=2, refused_checkpoints=1), [])
    assert value(registry, "sessions", state="ready") == 2
    assert value(registry, "sessions", state="starting") == 0
    assert (value(registry, "workers"), value(registry, "pool_idle")) == (1, 2)
    assert [value(registry, "refused", what=each) for each in REFUSED] == [2, 1]


def test_a_provider_is_shown_as_left_alone_until_its_circuit_closes(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    workers = [a_worker(providers={"llm": ["rules", "groq"], "tts": ["hibari"]})]
    metrics.observe({}, workers, Stats(0, 0, 0.0), [circuit_of("llm/groq/1"), circuit_of("llm/groq/2")])
    groq, hibari = {"kind": "llm", "provider": "groq"}, {"kind": "tts", "provider": "hibari"}
    assert (value(registry, "provider_circuit_open", **groq), value(registry, "provider_circuit_open", **hibari)) == (
        1,
        0,
    )
    metrics.observe({}, workers, Stats(0, 0, 0.0), [])
    assert value(registry, "provider_circuit_open", **groq) == 0


def test_idle_processes_are_summed_over_the_workers(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe({}, [a_worker(idle=2), a_worker("worker_b", idle=1)], Stats(0, 0, 0.0), [])
    assert (value(registry, "workers"), value(registry, "pool_idle")) == (2, 3)


def test_a_store_that_is_away_shows_until_it_is_back(registry: CollectorRegistry, metrics: Metrics) -> None:
    metrics.observe({}, [], Stats(0, 0, 0.0), [])
    assert value(registry, "store_up") == 1
    metrics.store_away()
    assert value(registry, "store_up") == 0
    metrics.observe({}, [], Stats(0, 0, 0.0), [])
    assert value(registry, "store_up") == 1


def test_the_text_is_what_prometheus_reads(metrics: Metrics) -> None:
    metrics.started("new", 0.4)
    assert b'greenroom_starts_total{outcome="new"} 1.0\n' in metrics.text()


def test_two_apps_count_apart() -> None:
    one, other = CollectorRegistry(), CollectorRegistry()
    Metrics(one).started(False, 0.4)
    Metrics(other)
    assert value(other, "starts_total", outcome="new") == 0
