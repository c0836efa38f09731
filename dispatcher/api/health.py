"""The routes that say how the system is: for people, load balancers and Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from dispatcher.access.access import Access
from dispatcher.api.schemas import Camel, Success
from dispatcher.errors import LiveKitUnavailable
from dispatcher.observe.clocks import warnings
from dispatcher.observe.copy import Copy, Facts
from dispatcher.observe.metrics import CONTENT_TYPE, Metrics
from session.provider_circuits import failing
from session.record import SEATED, State
from session.store.ports import SessionStore, Stats, Worker


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
    """Routes over these parts. `copy`: of how it is; `max_seats`: MAX_BOTS; `access`: says who may read metrics."""

    store: SessionStore
    copy: Copy
    metrics: Metrics
    max_seats: int
    access: Access

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
        scrapers = [Depends(self.access.scraper)]
        router.add_api_route(
            "/metrics", self.scrape, methods=["GET"], response_class=PlainTextResponse, dependencies=scrapers
        )
        return router

    async def health(self) -> HealthAnswer | JSONResponse:
        """How it goes, at most a second ago; 503 with the same fields when the store or LiveKit cannot be reached."""
        look = await self.copy.look()
        answer = self._answer(look.facts)
        if look.away is None:
            return answer
        unhealthy = {"success": False, "status": "unhealthy", "error": str(look.away), "code": "unhealthy"}
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
        look = await self.copy.look()
        self.metrics.livekit(up=not isinstance(look.away, LiveKitUnavailable))
        if look.facts is None:
            self.metrics.store_away()
        else:
            self.metrics.observe(look.facts.counts, look.facts.workers, look.facts.stats, look.facts.circuits)
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    def _answer(self, facts: Facts | None) -> HealthAnswer:
        facts = facts or Facts(0.0, 0.0, {}, [], Stats(0, 0, 0.0), ())
        counts, workers, stats = facts.counts, facts.workers, facts.stats
        warned = [*warnings(facts.clock, facts.now, workers), *_left_alone(facts.circuits)]
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
