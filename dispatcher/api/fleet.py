"""The routes of pool and workers, for operators: they turn HTTP into orders that the workers get with a heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from dispatcher.access.access import Access
from dispatcher.api.audit import audit
from dispatcher.api.schemas import Camel, Success
from dispatcher.errors import UnknownWorker
from dispatcher.fleet.pool import FleetPool
from session.running import RunningCall, calls_of
from session.store.orders import Given, WorkerOrder
from session.store.ports import Worker

MOST_PROCESSES = 10_000  # that can be asked for: a slip of the finger is no order


class PoolWorker(Camel):
    """One worker's part of the pool."""

    id: str
    """The worker's name."""
    target: int
    """Idle processes that the worker keeps warm."""
    idle: int
    """Warm processes without a call."""
    starting: int
    """Processes that warm up."""
    active: int
    """Processes with a call."""


class PoolAnswer(Success):
    """GET /api/pool."""

    target: int
    """Idle processes wanted over all workers."""
    idle: int
    """Warm processes without a call, of all workers."""
    starting: int
    """Processes that warm up, of all workers."""
    active: int
    """Processes with a call, of all workers."""
    workers: Sequence[PoolWorker]
    """The same by worker."""


class ResizeBody(Camel):
    """POST /api/pool/resize."""

    size: Annotated[int, Field(ge=0, le=MOST_PROCESSES, strict=True)]
    """Idle processes wanted over all workers; it holds until PREWARM_POOL_SIZE is changed."""


class ResizeAnswer(Success):
    """POST /api/pool/resize."""

    size: int
    """What was asked for, and is wanted from now on."""
    applied: int
    """How much of it the workers' slots allow now."""
    message: str
    """The same as a sentence."""


class CallFacts(Camel):
    """One call of a worker."""

    session_id: str
    """The session's id."""
    pid: int
    """Id of the process that has the call, on the worker's machine."""
    since: float
    """When the process got the call, Unix seconds."""
    own_memory: int | None
    """Bytes that no other process shares; null where it isn't known."""


class WorkerFacts(PoolWorker):
    """One worker."""

    host: str
    """Name of its machine."""
    status: str
    """`serving`, `cordoned` (takes no new calls) or `draining` (lets its calls finish, and ends)."""
    slots: int
    """Calls that the worker takes at once; 0 until a process is warm, and while LiveKit does not know the worker."""
    started_at: float
    """When the worker started, Unix seconds."""
    seen_at: float
    """When its last heartbeat came, Unix seconds."""
    failed_warmups: int
    """Processes in a row that could not warm up."""
    agents: Sequence[str]
    """Agents that the worker has."""
    release: str
    """Its LIVEKIT_AGENT_DEPLOYMENT."""
    calls: Sequence[CallFacts]
    """The calls that the worker runs, as of some seconds ago."""


class WorkersAnswer(Success):
    """GET /api/workers."""

    count: int
    """How many workers live."""
    workers: Sequence[WorkerFacts]
    """The workers, by name."""


class OrderAnswer(Success):
    """POST /api/workers/{id}/drain, cordon and uncordon."""

    message: str
    """What the worker does from its next heartbeat on."""


@dataclass(frozen=True, slots=True)
class FleetRoutes:
    """Routes over these parts."""

    pool: FleetPool
    access: Access

    def router(self) -> APIRouter:
        """The routes; all are an operator's."""
        router = APIRouter(dependencies=[Depends(self.access.operator)])
        router.add_api_route("/api/pool", self.show, methods=["GET"])
        router.add_api_route("/api/pool/resize", self.resize, methods=["POST"])
        router.add_api_route("/api/workers", self.workers, methods=["GET"])
        router.add_api_route("/api/workers/{worker_id}/drain", self.drain, methods=["POST"])
        router.add_api_route("/api/workers/{worker_id}/cordon", self.cordon, methods=["POST"])
        router.add_api_route("/api/workers/{worker_id}/uncordon", self.uncordon, methods=["POST"])
        return router

    async def show(self) -> PoolAnswer:
        """The warm processes, over all workers and by worker."""
        workers = await self.pool.workers()
        return PoolAnswer(
            target=await self.pool.wanted(workers),
            idle=sum(each.idle for each in workers),
            starting=sum(each.starting for each in workers),
            active=sum(each.active for each in workers),
            workers=[PoolWorker.model_validate(_counts(each)) for each in workers],
        )

    async def resize(self, request: Request, body: ResizeBody) -> ResizeAnswer:
        """Keep more processes warm, or fewer; calls are not touched."""
        done = await self.pool.resize(body.size)
        audit(request, "pool_resized", before=done.before, after=done.size, applied=done.applied)
        short = f"Only {done.applied} of {done.size}: the workers have no more slots."
        message = short if done.applied < done.size else f"{done.size} processes are kept warm."
        return ResizeAnswer(size=done.size, applied=done.applied, message=message)

    async def workers(self) -> WorkersAnswer:
        """The workers that live."""
        found = await self.pool.workers()
        calls = await asyncio.gather(*(calls_of(self.pool.store, each.id) for each in found))
        workers = [_facts(worker, theirs) for worker, theirs in zip(found, calls, strict=True)]
        return WorkersAnswer(count=len(workers), workers=workers)

    async def drain(self, request: Request, worker_id: str) -> OrderAnswer:
        """Let a worker finish its calls and end, as after SIGTERM; whoever runs it may start it again."""
        await self._order(request, worker_id, WorkerOrder.DRAIN, "drain")
        return OrderAnswer(message="The worker lets its calls finish, and ends.")

    async def cordon(self, request: Request, worker_id: str) -> OrderAnswer:
        """Let a worker take no new calls; those it has go on."""
        await self._order(request, worker_id, WorkerOrder.CORDON, "cordon")
        return OrderAnswer(message="The worker takes no new calls; those it has go on.")

    async def uncordon(self, request: Request, worker_id: str) -> OrderAnswer:
        """Let a worker that was cordoned take calls again."""
        await self._order(request, worker_id, None, "uncordon")
        return OrderAnswer(message="The worker takes calls.")

    async def _order(self, request: Request, worker_id: str, order: WorkerOrder | None, name: str) -> None:
        found = [each for each in await self.pool.workers() if each.id == worker_id]
        if not found:
            raise UnknownWorker
        given = None if order is None else Given(order=order, started_at=found[0].started_at)
        await self.pool.store.order(worker_id, given)
        audit(request, name, worker=worker_id, before=_status(found[0]))


def _counts(worker: Worker) -> dict[str, object]:
    return {
        "id": worker.id,
        "target": worker.target,
        "idle": worker.idle,
        "starting": worker.starting,
        "active": worker.active,
    }


def _facts(worker: Worker, calls: Sequence[RunningCall]) -> WorkerFacts:
    return WorkerFacts.model_validate(
        _counts(worker)
        | {
            "host": worker.host,
            "status": _status(worker),
            "slots": worker.slots,
            "started_at": worker.started_at,
            "seen_at": worker.seen_at,
            "failed_warmups": worker.failed_warmups,
            "agents": sorted(worker.agents),
            "release": worker.deployment,
            "calls": [CallFacts.model_validate(asdict(each)) for each in calls],
        }
    )


def _status(worker: Worker) -> str:
    return "draining" if worker.draining else "cordoned" if worker.cordoned else "serving"
