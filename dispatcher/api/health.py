"""The routes that say how the system is: for people, load balancers and Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from dispatcher.api.schemas import Camel, Success
from dispatcher.errors import LiveKitUnavailable
from dispatcher.livekit.port import Rooms
from dispatcher.observe.clocks import warnings
from dispatcher.observe.metrics import CONTENT_TYPE, Metrics
from session.errors import StoreUnavailable
from session.provider_circuits import PREFIX, failing
from session.record import SEATED, State
from session.store.ports import SILENT_SECONDS, CircuitStore, PoolStore, SessionStore, Stats, Worker

PING_SECONDS = 0.8  # for LiveKit's answer: health is asked for every second by some


class SessionCounts(Camel):
    """Sessions that have or await an agent."""

    ready: int = 0
    """Sessions whose agent is there."""
    starting: int = 0
    """Sessions whose first agent is on its way."""
    recovering: int = 0
    """Sessions whose agent is being replaced."""
    pool: int = 0
    """Idle warm processes of all workers."""
    total: int = 0
    """Seats in use: starting, ready and recovering together."""


class Totals(Camel):
    """Totals since the store began."""

    total_spawned: int = 0
    """Processes started."""
    total_assigned: int = 0
    """Sessions that became ready."""
    avg_startup_time: float | None = None
    """Seconds from request to ready, on average; null before the first ready session."""


class Capacity(Camel):
    """Seats."""

    current: int
    """Seats in use."""
    max: int
    """Seats in all: MAX_BOTS."""
    available: int
    """Seats that are free."""


class HealthAnswer(Success):
    """GET /api/health."""

    status: str
    """`healthy`; `degraded`: no warm worker, or a warning; `unhealthy`: the store or LiveKit is away."""
    warnings: Sequence[str] = ()
    """What will break soon, or which provider keeps failing, in sentences."""
    sessions: SessionCounts
    stats: Totals
    capacity: Capacity


@dataclass(frozen=True, slots=True)
class HealthRoutes:
    """Routes over these parts. `max_seats`: MAX_BOTS; `clock`: ours, Unix seconds."""

    store: SessionStore
    pool: PoolStore
    circuits: CircuitStore
    rooms: Rooms
    metrics: Metrics
    max_seats: int
    clock: Callable[[], float] = time.time

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route(
            "/api/health",
            self.health,
            methods=["GET"],
            response_model=HealthAnswer,
            responses={503: {"model": HealthAnswer, "description": "The store or LiveKit is away."}},
        )
        router.add_api_route("/healthz", self.alive, methods=["GET"])
        router.add_api_route("/readyz", self.ready, methods=["GET"])
        for path, answers in (("/api/health", self.health), ("/healthz", self.alive), ("/readyz", self.ready)):
            # Uptime monitors ask so; the server sends no body then.
            router.add_api_route(path, answers, methods=["HEAD"], include_in_schema=False, response_model=None)
        router.add_api_route("/metrics", self.scrape, methods=["GET"], response_class=PlainTextResponse)
        return router

    async def health(self) -> HealthAnswer | JSONResponse:
        """How it goes; 503 with the same fields when the store or LiveKit cannot be reached."""
        now, counts, workers, stats, circuits, livekit = await asyncio.gather(
            self.store.now(),
            self.store.counts(),
            self.pool.workers(seen_within=SILENT_SECONDS),
            self.pool.stats(),
            self.circuits.open_circuits(PREFIX),
            self.rooms.ping(timeout=PING_SECONDS),
            return_exceptions=True,
        )
        away = [each for each in (now, counts, workers, stats, circuits, livekit) if isinstance(each, BaseException)]
        for error in away:
            if not isinstance(error, (StoreUnavailable, LiveKitUnavailable)):
                raise error
        if (
            isinstance(now, BaseException)
            or isinstance(counts, BaseException)
            or isinstance(workers, BaseException)
            or isinstance(stats, BaseException)
            or isinstance(circuits, BaseException)
        ):
            answer = self._answer([], {}, [], Stats(0, 0, 0.0))
        else:
            warned = [*warnings(self.clock(), now, workers), *_left_alone(circuits)]
            answer = self._answer(warned, counts, workers, stats)
        if not away:
            return answer
        unhealthy = {"success": False, "status": "unhealthy", "error": str(away[0]), "code": "unhealthy"}
        headers = {"Retry-After": "2"}
        return JSONResponse(answer.model_dump(by_alias=True) | unhealthy, status_code=503, headers=headers)

    async def alive(self) -> Success:
        """The process answers."""
        return Success()

    async def ready(self) -> Success:
        """It may get traffic: it can reach the store. Raises StoreUnavailable."""
        await self.store.now()
        return Success()

    async def scrape(self) -> Response:
        """Prometheus' text; without the store, what this process knows by itself."""
        try:
            facts = await asyncio.gather(
                self.store.counts(),
                self.pool.workers(seen_within=SILENT_SECONDS),
                self.pool.stats(),
                self.circuits.open_circuits(PREFIX),
            )
            self.metrics.observe(*facts)
        except StoreUnavailable:
            self.metrics.store_away()
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    def _answer(
        self, warned: list[str], counts: Mapping[State, int], workers: Sequence[Worker], stats: Stats
    ) -> HealthAnswer:
        current = sum(counts.get(state, 0) for state in SEATED)
        average = round(stats.startup_seconds / stats.assigned, 3) if stats.assigned else None
        return HealthAnswer(
            status="degraded" if warned else _status(workers),
            warnings=warned,
            sessions=SessionCounts(
                ready=counts.get(State.READY, 0),
                starting=counts.get(State.STARTING, 0),
                recovering=counts.get(State.RECOVERING, 0),
                pool=sum(worker.idle for worker in workers),
                total=current,
            ),
            stats=Totals(total_spawned=stats.spawned, total_assigned=stats.assigned, avg_startup_time=average),
            capacity=Capacity(current=current, max=self.max_seats, available=max(0, self.max_seats - current)),
        )


def _left_alone(circuits: Iterable[str]) -> list[str]:
    """A sentence for each provider that calls leave alone."""
    return [
        f"The {kind} provider {name} keeps failing: calls use the next one in their list, where they have one."
        for kind, name in failing(circuits)
    ]


def _status(workers: Sequence[Worker]) -> str:
    serving = [worker for worker in workers if not worker.draining]
    warm = any(worker.idle > 0 for worker in serving)
    faulty = any(worker.failed_warmups > 0 and worker.idle < worker.target for worker in serving)
    return "healthy" if warm and not faulty else "degraded"
