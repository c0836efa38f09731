from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from dispatcher.api import errors as refusals
from dispatcher.api.health import HealthRoutes
from dispatcher.observe.copy import Copy
from dispatcher.observe.metrics import Metrics
from session.errors import StoreUnavailable
from session.provider_circuits import circuit_of
from session.record import State, became_ready, claimed
from session.store.ports import CIRCUIT_FAILURES, CIRCUIT_SECONDS, StartReport, Stats, Worker, update
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.gates import an_access
from tests.session.making import NOON, a_session, a_worker
from tests.session.memory_store import MemoryStore

Answer = TypeVar("Answer")
pytestmark = pytest.mark.anyio


class LosableStore(MemoryStore):
    """Raises what a store does that cannot be reached, once `away`."""

    away = False

    async def now(self) -> float:
        return self._there(await super().now())

    async def counts(self) -> Mapping[State, int]:
        return self._there(await super().counts())

    async def workers(self, *, seen_within: float) -> Sequence[Worker]:
        return self._there(await super().workers(seen_within=seen_within))

    async def stats(self) -> Stats:
        return self._there(await super().stats())

    def _there(self, answer: Answer) -> Answer:
        if self.away:
            raise StoreUnavailable
        return answer


@dataclass
class Stage:
    clock: Clock
    store: LosableStore
    rooms: FakeRooms
    http: httpx.AsyncClient


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = Clock(NOON)
    store, rooms, app = LosableStore(clock), FakeRooms(), FastAPI()
    refusals.install(app)
    copy = Copy(store, rooms, seconds=0, clock=clock)
    app.include_router(HealthRoutes(store, copy, Metrics(CollectorRegistry()), 9, an_access()).router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        yield Stage(clock, store, rooms, http)


async def test_health_counts_sessions_processes_starts_and_seats(stage: Stage) -> None:
    await stage.store.beat(a_worker("worker_a", idle=2))
    await stage.store.beat(a_worker("worker_b", idle=1))
    await stage.store.count_spawned(5)
    for session_id in ("session_a", "session_b"):
        await stage.store.start(a_session(session_id), max_seats=9, op=session_id)
    stage.clock.seconds += 0.5
    mine = {"attempt": 1, "job": "job_a"}
    await update(
        stage.store,
        "session_a",
        lambda each, now: became_ready(claimed(each, worker="w", now=now, **mine), now=now, steps={}, **mine),
    )
    answer = await stage.http.get("/api/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "status": "healthy",
        "warnings": [],
        "sessions": {"ready": 1, "starting": 1, "recovering": 0, "pool": 3, "total": 2},
        "stats": {"totalSpawned": 5, "totalAssigned": 1, "avgStartupTime": 0.5},
        "capacity": {"current": 2, "max": 9, "available": 7},
    }


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param([], id="no worker"),
        pytest.param([a_worker(idle=0)], id="none is warm"),
        pytest.param([a_worker(draining=True)], id="the warm one leaves"),
        pytest.param([a_worker(), a_worker("worker_b", idle=2, target=3, failed_warmups=1)], id="warm-ups fail"),
    ],
)
async def test_it_is_degraded_where_a_start_would_be_slow_or_refused(stage: Stage, workers: list[Worker]) -> None:
    for worker in workers:
        await stage.store.beat(worker)
    answer = await stage.http.get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


@pytest.mark.parametrize(
    "worker",
    [
        pytest.param(a_worker("worker_b", idle=3, target=3, failed_warmups=1), id="its pool is full again"),
        pytest.param(a_worker("worker_b", idle=0, target=3, failed_warmups=1, draining=True), id="it leaves"),
    ],
)
async def test_warm_ups_that_failed_do_not_matter_any_more(stage: Stage, worker: Worker) -> None:
    await stage.store.beat(a_worker())
    await stage.store.beat(worker)
    assert (await stage.http.get("/api/health")).json()["status"] == "healthy"


async def test_a_clock_that_is_off_is_told_before_tokens_break(stage: Stage) -> None:
    await stage.store.beat(a_worker("worker_a", clock=NOON + 3))
    await stage.store.beat(a_worker("worker_b", clock=NOON - 45))
    said = (await stage.http.get("/api/health")).json()
    assert said["status"] == "degraded"
    named = [each.partition(".")[0] for each in said["warnings"]]
    assert named == ["The clock of worker worker_b is 45 s behind the store's"]


async def test_a_worker_that_went_silent_does_not_count(stage: Stage) -> None:
    await stage.store.beat(a_worker("worker_a", idle=2))
    stage.clock.seconds += 6
    assert (await stage.http.get("/api/health")).json()["sessions"]["pool"] == 0


@pytest.mark.parametrize(("store", "livekit"), [(True, False), (False, True), (True, True)])
async def test_it_is_unhealthy_without_store_or_livekit_and_says_which(
    stage: Stage, store: bool, livekit: bool
) -> None:
    stage.store.away, stage.rooms.away = store, livekit
    answer = await stage.http.get("/api/health")
    said = answer.json()
    assert (answer.status_code, said["success"], said["status"]) == (503, False, "unhealthy")
    assert ("store" if store else "LiveKit") in said["error"]
    assert said["capacity"]["max"] == 9


async def test_the_process_is_alive_whatever_is_away(stage: Stage) -> None:
    stage.store.away = stage.rooms.away = True
    assert (await stage.http.get("/healthz")).status_code == 200


async def test_traffic_is_wanted_only_with_a_store(stage: Stage) -> None:
    assert (await stage.http.get("/readyz")).status_code == 200
    stage.store.away = True
    answer = await stage.http.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")


async def test_metrics_tell_what_the_store_says_and_whether_it_answered(stage: Stage) -> None:
    await stage.store.beat(a_worker("worker_a", idle=2))
    await stage.store.start(a_session(), max_seats=9, op="op")
    await stage.store.claim_refused()
    answer = await stage.http.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for line in (
        'greenroom_sessions{state="starting"} 1.0',
        "greenroom_pool_idle 2.0",
        "greenroom_store_up 1.0",
        'greenroom_refused{what="claim"} 1.0',
    ):
        assert line in answer.text
    stage.store.away = True
    assert "greenroom_store_up 0.0" in (await stage.http.get("/metrics")).text


async def test_a_provider_that_calls_leave_alone_is_named(stage: Stage) -> None:
    await stage.store.beat(a_worker())
    for number in range(CIRCUIT_FAILURES):
        await stage.store.report_circuit(circuit_of("llm/groq/0f"), StartReport.FAILED, session_id=str(number))
        await stage.store.report_circuit("agent", StartReport.FAILED, session_id=str(number))
    answer = (await stage.http.get("/api/health")).json()
    assert answer["status"] == "degraded"
    assert answer["warnings"] == [
        "The llm provider groq keeps failing: calls use the next one in their list, where they have one."
    ]
    assert 'greenroom_provider_circuit_open{kind="llm",provider="groq"} 1.0' in (await stage.http.get("/metrics")).text
    stage.clock.seconds += CIRCUIT_SECONDS  # from now on the next call tries it
    await stage.store.beat(a_worker())
    assert (await stage.http.get("/api/health")).json()["status"] == "healthy"
