"""What Prometheus is told of this dispatcher; every part of it counts here, and api/health.py shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from dispatcher.api.errors import STATUS
from session.errors import SessionError
from session.provider_circuits import failing
from session.record import EndReason, ErrorReason, Session, State
from session.store.ports import Stats, Worker

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES = ("new", "reused", "repeated", *sorted({code for _, code in STATUS.values()}))
IGNORED = ("forged", "unreadable", "repeated")
REFUSED = ("claim", "checkpoint")
ACCESS = (
    "key_missing", "key_invalid", "key_in_address", "operators_only", "loopback_only", "proof_missing",
    "not_your_session", "agent_not_allowed", "unknown_host", "origin_not_allowed",
)  # fmt: skip
REPAIRS = ("seat", "agent", "room", "adopted", "reservation")
AGAIN = ("start", "recovery")
LOOPS = ("alerts", "docket", "ended", "events", "fast loop", "news", "slow loop")
TASKS = (*LOOPS, "due", "event", "queue", "silence", "timer", "other")
STATUSES = ("2xx", "3xx", "4xx", "5xx")
_SECONDS = (0.005, 0.01, 0.02, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # 20 and 60 ms are promised


class Metrics:
    """The series of one registry; each exists before its first event.

    Args:
        registry: where they are registered; one for each app.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = Counter(
            "greenroom_http_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "greenroom_http_request_seconds", "Seconds to an answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        self._starts = self._counter("starts", "Starts by their outcome.", "outcome", OUTCOMES)
        self._start_seconds = Histogram(
            "greenroom_start_seconds", "Seconds to the answer of a start.", buckets=_SECONDS, registry=registry
        )
        self._ends = self._counter(
            "sessions_ended", "Ended sessions by reason, each counted once.", "reason", (*EndReason, *ErrorReason)
        )
        self._again = self._counter(
            "dispatches_again", "Attempts after the first, by what they are for.", "what", AGAIN
        )
        self._ghosts = self._counter("ghosts_removed", "Agents of earlier attempts sent out.")
        self._repairs = self._counter("repairs", "What did not fit together and was mended, by kind.", "kind", REPAIRS)
        self._webhooks = self._counter("webhooks_ignored", "Webhooks that changed nothing, by why.", "why", IGNORED)
        self._access = self._counter("access_refused", "Requests refused for want of a right, by code.", "code", ACCESS)
        self._unreadable = self._counter("unreadable_records", "Stored things that could not be read, each once.")
        self._failures = self._counter(
            "task_failures", "Tasks of this dispatcher that failed unexpectedly.", "task", TASKS
        )
        self._refused = self._gauge(
            "refused", "Claims and checkpoints of agents that are not current, since the store began.", "what", REFUSED
        )
        self._worker_failures = self._gauge(
            "worker_task_failures", "Tasks of workers and calls that failed unexpectedly, since the store began."
        )
        self._judging = self._gauge("judging", "Whether silence is judged now: not after the store was away.")
        self._sessions = self._gauge("sessions", "Sessions by state.", "state", State)
        self._workers = self._gauge("workers", "Workers with a recent heartbeat.")
        self._idle = self._gauge("pool_idle", "Idle warm processes of all workers.")
        self._circuits = Gauge(
            "greenroom_provider_circuit_open",
            "Whether calls leave this provider alone, since it keeps failing.",
            ["kind", "provider"],
            registry=registry,
        )
        self._livekit_up = self._gauge("livekit_up", "Whether LiveKit answered the last look, at most a second ago.")
        self._store_up = self._gauge("store_up", "Whether the store answered the last scrape.")

    def _counter(self, name: str, text: str, label: str = "", values: Iterable[str] = ()) -> Counter:
        """A counter whose series exist from the beginning, one for each of the label's values."""
        made = Counter(f"greenroom_{name}", text, [label] if label else [], registry=self._registry)
        for value in values:
            made.labels(value)
        return made

    def _gauge(self, name: str, text: str, label: str = "", values: Iterable[str] = ()) -> Gauge:
        """A gauge, as `_counter` makes counters."""
        made = Gauge(f"greenroom_{name}", text, [label] if label else [], registry=self._registry)
        for value in values:
            made.labels(value)
        return made

    def routes(self, names: Sequence[str]) -> None:
        """Create the series of these routes."""
        for name in names:
            self._seconds.labels(name)
            for status in STATUSES:
                self._requests.labels(name, status)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, f"{status // 100}xx").inc()
        self._seconds.labels(route).observe(seconds)

    def started(self, outcome: Literal["new", "reused", "repeated"], seconds: float) -> None:
        """Count a start that was admitted."""
        self._starts.labels(outcome).inc()
        self._start_seconds.observe(seconds)

    def refused(self, error: SessionError) -> None:
        """Count a start that was not."""
        self._starts.labels(STATUS[type(error)][1]).inc()

    def ended(self, session: Session) -> None:
        """Count an ended session."""
        self._ends.labels(session.end_reason or session.error).inc()

    def access_refused(self, error: Exception) -> None:
        """Count a request that nobody with this key, from this address or of this page may make."""
        assert isinstance(error, SessionError)
        self._access.labels(STATUS[type(error)][1]).inc()

    def record_unreadable(self) -> None:
        """Count something that is stored and cannot be read."""
        self._unreadable.inc()

    def task_failed(self, task: str) -> None:
        """Count a task of this process that failed unexpectedly."""
        self._failures.labels(task if task in TASKS else "other").inc()

    def dispatched_again(self, session: Session) -> None:
        """Count an attempt that was not the first of its session."""
        self._again.labels("recovery" if session.state is State.RECOVERING else "start").inc()

    def judging(self, judges: bool) -> None:
        """Note whether anything may be concluded from silence now."""
        self._judging.set(judges)

    def repaired(self, kind: str, count: int = 1) -> None:
        """Count what was mended: one of REPAIRS."""
        self._repairs.labels(kind).inc(count)

    def ghost_removed(self) -> None:
        """Count an agent of an earlier attempt that was sent out of its room."""
        self._ghosts.inc()

    def webhook_ignored(self, why: Literal["forged", "unreadable", "repeated"]) -> None:
        """Count a webhook that changed nothing."""
        self._webhooks.labels(why).inc()

    def observe(
        self, counts: Mapping[State, int], workers: Sequence[Worker], stats: Stats, circuits: Iterable[str]
    ) -> None:
        """Take over what the store says now; `circuits`: names of the open ones of providers."""
        self._store_up.set(1)
        for state in State:
            self._sessions.labels(state).set(counts.get(state, 0))
        self._workers.set(len(workers))
        self._idle.set(sum(worker.idle for worker in workers))
        self._worker_failures.set(stats.task_failures)
        self._circuits.clear()
        for worker in workers:
            for kind, names in worker.providers.items():
                for name in {*names} - {"local"}:  # which is another name of one of them
                    self._circuits.labels(kind, name).set(0)
        for kind, name in failing(circuits):
            self._circuits.labels(kind, name).set(1)
        self._refused.labels("claim").set(stats.refused_claims)
        self._refused.labels("checkpoint").set(stats.refused_checkpoints)

    def store_away(self) -> None:
        """Note that the store did not answer."""
        self._store_up.set(0)

    def livekit(self, *, up: bool) -> None:
        """Note whether LiveKit answers."""
        self._livekit_up.set(up)

    def text(self) -> bytes:
        """All of it in Prometheus' format."""
        return generate_latest(self._registry)
