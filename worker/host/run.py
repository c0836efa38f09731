"""Runs a worker: checks settings and agents, serves until a signal, drains; `python -m worker` calls it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from livekit.agents import AgentServer
from pydantic import ValidationError

from pipeline import providers
from pipeline.agents.definition import Agent
from pipeline.errors import PipelineError
from pipeline.settings import PipelineSettings
from runtime import log
from runtime.background import Background, keep_going
from runtime.cpu import cores
from runtime.secret_files import SecretFileError
from session.errors import StoreUnavailable
from session.store.ports import PoolStore, Worker
from session.store.redis.store import open_store
from session.timing import DEATH_REPORTS_SECONDS
from worker.host import turnstile
from worker.host.agent_files import POLL_SECONDS, AgentFiles, checked_agents, reload_step
from worker.host.calls import CALLS_SECONDS, tell_calls
from worker.host.children import LOOK_SECONDS, Children
from worker.host.health_page import Condition, PortTaken, health_page
from worker.host.heartbeat import Heartbeat
from worker.host.obey import obey
from worker.host.pool import Pool
from worker.host.server import JobAcceptor, Slots, make_server
from worker.settings import WorkerSettings

TOLD_WRONGLY = 2  # exit code: settings or agents are at fault, and starting again won't mend them

logger = logging.getLogger("worker")


async def serve(
    settings: WorkerSettings, pipeline: PipelineSettings, agents: dict[str, Agent], files: AgentFiles | None = None
) -> None:
    """Run until SIGTERM or SIGINT, then let running calls finish; with `files`, agents are those of its last look."""
    told = _told_to_stop()
    worker_id = settings.worker_id or f"{socket.gethostname()}-{secrets.token_hex(4)}"
    os.environ["GREENROOM_WORKER_ID"] = worker_id  # for the job processes, which sign their claims with it
    url, kept = settings.redis_url.get_secret_value(), settings.keep_seconds
    async with (
        open_store(url, namespace=settings.namespace, keep_seconds=kept) as store,
        turnstile.keep(max(1, math.ceil(cores()))) as os.environ[turnstile.SOCKET],
        health_page(settings.worker_host, settings.worker_port) as page,
    ):
        slots = Slots(settings.slots)
        acceptor = JobAcceptor(store, slots, settings, worker_id)
        server = make_server(settings, slots, acceptor.accept)
        registered = asyncio.Event()
        server.on("worker_registered", lambda *_: registered.set())
        tasks = Background(f"worker {worker_id}")
        running = tasks.start(server.run(), "agent server")
        children = Children()
        tasks.start(keep_going(children.look, "children", owner="worker", pause=LOOK_SECONDS), "children")

        def changed() -> None:
            if registered.is_set():  # before, a warm process is of no use to anybody
                heartbeat.hurry()

        pool = await Pool.attach(server, acceptor.job_closed, changed)
        always = _facts(worker_id, settings, pipeline, agents)

        def known() -> bool:
            return registered.is_set() and pool.connected

        def describe() -> Worker:
            now = replace(_now(always, pool, known=known()), draining=told.is_set(), cordoned=slots.cordoned)
            return now if files is None else replace(now, **_of_agents(files.agents, pipeline))

        obeys = partial(obey, pool, slots, told, settings.pool_size)
        heartbeat = Heartbeat(store, describe, lambda: pool.spawned, settings.heartbeat_seconds, obey=obeys)
        beating = tasks.start(heartbeat.run(), "heartbeat")
        _tell_calls(tasks, store, worker_id, pool, acceptor)
        page.condition = lambda: Condition(describe(), known(), heartbeat.age)
        reloads = _follow(files, heartbeat, worker_id)
        logger.info("event=started worker=%s slots=%d pool=%d", worker_id, settings.slots, settings.pool_size)
        try:
            await _until_told(told, running, tasks)
            with contextlib.suppress(StoreUnavailable):
                await store.beat(describe())  # takes no new calls: said before any is handed over
            if pool.spawned or running.done():
                await _drain(server, settings, acceptor)
            else:
                await _stop_warming(running, children, pool)
        finally:
            reloads.cancel()
            heartbeat.stop()
            await asyncio.gather(beating, return_exceptions=True)
            with contextlib.suppress(StoreUnavailable):
                await store.beat(replace(describe(), left=True, idle=0, starting=0, active=0))
        if not running.cancelled():
            await running


def _facts(worker_id: str, settings: WorkerSettings, pipeline: PipelineSettings, agents: dict[str, Agent]) -> Worker:
    """What stays as it is for as long as the worker runs."""
    return Worker(
        id=worker_id,
        host=socket.gethostname(),
        started_at=time.time(),
        slots=settings.slots,
        target=settings.pool_size,
        prewarm=settings.pool_size,
        idle=0,
        starting=0,
        active=0,
        deployment=os.environ.get("LIVEKIT_AGENT_DEPLOYMENT", ""),
        providers={str(kind): names for kind, names in providers.usable(pipeline).items()},
        languages=providers.known_languages(pipeline),
        voices=providers.known_voices(pipeline),
        reads_reservations=True,
        **_of_agents(agents, pipeline),
    )


def _of_agents(agents: Mapping[str, Agent], pipeline: PipelineSettings) -> dict[str, Any]:
    """What sessions may choose of each agent, and each agent's own provider of each kind."""
    return {
        "agents": {name: sorted(agent.overridable) for name, agent in agents.items()},
        "speaks": {
            name: {kind: ", ".join(each.name for each in agent.providers(kind, pipeline)) for kind in providers.KINDS}
            for name, agent in agents.items()
        },
    }


def _now(always: Worker, pool: Pool, *, known: bool) -> Worker:
    """The worker as it is now; without a slot until it is `known` to LiveKit and a process was warm."""
    counts = pool.counts()
    return replace(
        always,
        clock=time.time(),
        slots=always.slots if known and pool.spawned else 0,
        target=pool.target,
        idle=counts.idle,
        starting=counts.starting,
        active=counts.active,
        failed_warmups=pool.failed_warmups,
    )


def _tell_calls(tasks: Background, store: PoolStore, worker_id: str, pool: Pool, acceptor: JobAcceptor) -> None:
    """Write down from now on which calls this worker runs."""
    tell = partial(tell_calls, store, worker_id, pool.running, lambda each: acceptor.session_of(each.job))
    tasks.start(keep_going(tell, "calls", owner="worker", pause=CALLS_SECONDS), "calls")


def _follow(files: AgentFiles | None, heartbeat: Heartbeat, worker_id: str) -> Background:
    """Load agents anew when one of their files is saved, until this is cancelled; without files, nothing."""
    reloads = Background(f"worker {worker_id}")
    if files is not None:
        look = partial(reload_step, files, heartbeat.hurry)
        reloads.start(keep_going(look, "look at agents", owner="worker", pause=POLL_SECONDS), "reload of agents")
    return reloads


def _told_to_stop() -> asyncio.Event:
    """Set by SIGTERM or SIGINT."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


async def _until_told(told: asyncio.Event, running: asyncio.Task[None], tasks: Background) -> None:
    """Return when a signal has come, or the server has ended by itself; `told` is set then."""
    waiting = tasks.start(told.wait(), "signal")
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    told.set()


async def _drain(server: AgentServer, settings: WorkerSettings, acceptor: JobAcceptor) -> None:
    """Let running calls finish, as long as they may; then close the others, which hand themselves over."""
    seconds = int(settings.drain_seconds) if settings.drain == "wait" else 0
    logger.info("event=draining seconds=%d", seconds)
    if seconds:
        with contextlib.suppress(TimeoutError):
            await server.drain(timeout=seconds)
    await server.aclose()
    logger.info("event=stopped")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(acceptor.reported(), DEATH_REPORTS_SECONDS)


async def _stop_warming(running: asyncio.Task[None], children: Children, pool: Pool) -> None:
    """Stop a worker in which no process was ever warm, and so no call: wait for nothing that is being loaded."""
    running.cancel()
    await asyncio.wait({running})
    children.end_forkserver()
    await pool.close()
    logger.info("event=stopped before=it_was_warm")


def _refuse(reason: str) -> NoReturn:
    print(f"worker: {reason}", file=sys.stderr)
    raise SystemExit(TOLD_WRONGLY)


def main() -> None:
    """Check settings and agents before anything starts, so that a fault is an error here and not in a call."""
    try:
        settings, pipeline = WorkerSettings(), PipelineSettings()
    except (ValidationError, SecretFileError) as error:
        _refuse(f"the settings are wrong: {error}")
    log.configure(settings.log_level)
    with contextlib.ExitStack() as until_the_end:
        try:
            agents = checked_agents(pipeline.agents, pipeline)
            files = _reloaded(pipeline, agents, until_the_end) if settings.reload_agents else None
        except PipelineError as error:
            _refuse(str(error))
        try:
            asyncio.run(serve(settings, pipeline, agents, files))
        except PortTaken as error:
            raise SystemExit(f"worker: {error}") from None  # 1: the port may be free at the next try


def _reloaded(pipeline: PipelineSettings, agents: dict[str, Agent], stack: contextlib.ExitStack) -> AgentFiles:
    """The agents' files, of which the forkserver and the job processes load copies from now on."""
    home = stack.enter_context(TemporaryDirectory(prefix="greenroom-agents-", ignore_cleanup_errors=True))
    files = AgentFiles(pipeline.agents, agents, Path(home).resolve(), pipeline)
    os.environ["GREENROOM_AGENTS"] = str(files.current)
    return files
