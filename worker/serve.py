"""Runs a worker: checks settings and agents, serves until it is told to stop, drains; knows no call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from typing import NoReturn

from livekit.agents import AgentServer
from pydantic import ValidationError

from pipeline import providers
from pipeline.agents import Agent, load_agents
from pipeline.errors import PipelineError
from pipeline.settings import PipelineSettings
from session.errors import StoreUnavailable
from session.redis_store import RedisStore, open_store
from session.store import Worker
from worker import logs
from worker.agent import Doorkeeper, Slots, make_server
from worker.heartbeat import Heartbeat
from worker.pool import Pool
from worker.settings import WorkerSettings

TOLD_WRONGLY = 2  # exit code: settings or agents are at fault, and starting again won't mend them

logger = logging.getLogger("worker")


async def serve(settings: WorkerSettings, pipeline: PipelineSettings, agents: dict[str, Agent]) -> None:
    """Run until SIGTERM or SIGINT, then let running calls finish."""
    worker_id = settings.worker_id or f"{socket.gethostname()}-{secrets.token_hex(4)}"
    os.environ["GREENROOM_WORKER_ID"] = worker_id  # for the job processes, which sign their claims with it
    async with open_store(
        settings.redis_url.get_secret_value(), namespace=settings.namespace, keep_seconds=settings.keep_seconds
    ) as store:
        slots = Slots(settings.slots)
        door = Doorkeeper(store, slots, settings)
        server = make_server(settings, slots, door.accept)
        running = asyncio.create_task(server.run(), name="agent server")
        pool = await Pool.attach(server, door.job_closed)
        started = time.time()

        def describe() -> Worker:
            counts = pool.counts()
            return Worker(
                id=worker_id,
                host=socket.gethostname(),
                started_at=started,
                slots=settings.slots,
                target=settings.pool_size,
                idle=counts.idle,
                starting=counts.starting,
                active=counts.active,
                draining=server.draining,
                deployment=os.environ.get("LIVEKIT_AGENT_DEPLOYMENT", ""),
                agents={name: sorted(agent.overridable) for name, agent in agents.items()},
                providers={str(kind): names for kind, names in providers.usable(pipeline).items()},
            )

        heartbeat = Heartbeat(store, describe, lambda: pool.spawned, settings.heartbeat_seconds)
        beating = asyncio.create_task(heartbeat.run(), name="heartbeat")
        logger.info("event=started worker=%s slots=%d pool=%d", worker_id, settings.slots, settings.pool_size)
        try:
            await _until_told_to_stop(running)
            await _drain(server, settings)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await _leave(store, worker_id)
        await running


async def _until_told_to_stop(running: asyncio.Task[None]) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    waiting = asyncio.create_task(told.wait(), name="signal")
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _drain(server: AgentServer, settings: WorkerSettings) -> None:
    logger.info("event=draining seconds=%g", settings.drain_seconds)
    if settings.drain_seconds >= 1:
        with contextlib.suppress(TimeoutError):
            await server.drain(timeout=int(settings.drain_seconds))
    await server.aclose()
    logger.info("event=stopped")


async def _leave(store: RedisStore, worker_id: str) -> None:
    with contextlib.suppress(StoreUnavailable):
        await store.leave(worker_id)


def _refuse(reason: str) -> NoReturn:
    print(f"worker: {reason}", file=sys.stderr)
    raise SystemExit(TOLD_WRONGLY)


def main() -> None:
    """Check settings and agents before anything starts, so that a fault is an error here and not in a call."""
    try:
        settings, pipeline = WorkerSettings(), PipelineSettings()
    except ValidationError as error:
        _refuse(f"the settings are wrong: {error}")
    logs.configure(settings.log_level)
    try:
        agents = load_agents(pipeline.agents)
        for agent in agents.values():
            agent.resolve(pipeline)
    except PipelineError as error:
        _refuse(str(error))
    asyncio.run(serve(settings, pipeline, agents))
