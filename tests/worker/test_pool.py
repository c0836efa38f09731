"""The private names of livekit-agents that worker/pool.py uses: tried on a real pool of real processes."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit.agents import AgentServer, JobContext, JobExecutorType, JobProcess
from livekit.agents.ipc.proc_pool import ProcPool
from livekit.agents.job import JobAcceptArguments, RunningJobInfo

from tests.pipeline.stage import until
from tests.worker.jobs import SECRET, a_job
from worker import pool as pool_module
from worker.pool import HUNG_SECONDS, PING_SECONDS, Counts, Pool

pytestmark = pytest.mark.anyio

IDLE = 2


def nothing_to_warm(_: JobProcess) -> None:
    """A process that is warm at once."""


async def wait_for_ever(_: JobContext) -> None:
    """A call that does not end."""
    await asyncio.Event().wait()


class Server:
    """An AgentServer as the pool sees it."""

    def __init__(self, processes: ProcPool) -> None:
        self._proc_pool = processes


@asynccontextmanager
async def a_pool() -> AsyncIterator[tuple[Pool, ProcPool, list[tuple[str, int | None]]]]:
    closed: list[tuple[str, int | None]] = []
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(["livekit.agents.ipc.job_proc_lazy_main", __name__])
    processes = ProcPool(
        initialize_process_fnc=nothing_to_warm,
        job_entrypoint_fnc=wait_for_ever,
        session_end_fnc=None,
        simulation_end_fnc=None,
        num_idle_processes=IDLE,
        initialize_timeout=20.0,
        close_timeout=1.0,
        session_end_timeout=1.0,
        inference_executor=None,
        job_executor_type=JobExecutorType.PROCESS,
        mp_ctx=forkserver,
        memory_warn_mb=0,
        memory_limit_mb=0,
        http_proxy=None,
        loop=asyncio.get_running_loop(),
    )
    pool = Pool(Server(processes), lambda job, code: closed.append((job.id, code)))  # type: ignore[arg-type]
    await processes.start()
    try:
        yield pool, processes, closed
    finally:
        await processes.aclose()


def a_launch() -> RunningJobInfo:
    return RunningJobInfo(
        accept_arguments=JobAcceptArguments(name="", identity="agent-session_a-1", metadata=""),
        job=a_job(),
        url="ws://127.0.0.1:1",
        token="",
        worker_id="worker_a",
        fake_job=False,
    )


async def test_warm_and_busy_processes_are_counted_and_deaths_are_told() -> None:
    async with a_pool() as (pool, processes, closed):
        await until(lambda: pool.counts() == Counts(idle=IDLE, starting=0, active=0), "the pool is warm")
        assert pool.spawned == IDLE
        assert len(set(pool.pids)) == IDLE
        for process in processes.processes:
            assert (process._opts.ping_interval, process._opts.ping_timeout) == (PING_SECONDS, HUNG_SECONDS)

        await processes.launch_job(a_launch())
        assert pool.counts().active == 1
        await until(lambda: pool.counts() == Counts(idle=IDLE, starting=0, active=1), "the pool refills itself")
        assert pool.spawned == IDLE + 1

        busy = processes.get_by_job_id("job_a")
        assert busy is not None
        os.kill(busy.pid, signal.SIGKILL)
        await until(lambda: closed, "the death is told")
        assert closed == [("job_a", -signal.SIGKILL)]
        await until(lambda: pool.counts().active == 0, "it is not counted any more")


async def test_an_idle_process_that_dies_is_said_and_replaced(caplog: pytest.LogCaptureFixture) -> None:
    async with a_pool() as (pool, _, closed):
        await until(lambda: pool.counts().idle == IDLE, "the pool is warm")
        with caplog.at_level(logging.WARNING, pool_module.__name__):
            os.kill(pool.pids[0], signal.SIGKILL)
            await until(lambda: pool.spawned == IDLE + 1, "another is warmed")
        said = [record.getMessage() for record in caplog.records if record.name == pool_module.__name__]
        assert said == [f"event=idle_process_died exitcode={-signal.SIGKILL}"]
        assert closed == []


async def test_the_pool_of_a_server_is_found_once_it_runs() -> None:
    server = AgentServer(
        ws_url="ws://127.0.0.1:1",
        api_key="key",
        api_secret=SECRET,
        host="127.0.0.1",
        port=0,
        num_idle_processes=0,
        load_threshold=float("inf"),
    )
    server.rtc_session(wait_for_ever, agent_name="ours")
    running = asyncio.create_task(server.run())
    try:
        pool = await Pool.attach(server, lambda job, code: None)
        assert pool.counts() == Counts(idle=0, starting=0, active=0)
    finally:
        await server.aclose()
        await asyncio.gather(running, return_exceptions=True)


class SlowServer:
    """A server that makes its pool a little later."""

    _proc_pool: ProcPool | None = None


async def test_a_server_that_has_no_pool_yet_is_waited_for() -> None:
    server: Any = SlowServer()
    attaching = asyncio.create_task(Pool.attach(server, lambda job, code: None))
    await asyncio.sleep(0)
    assert not attaching.done()
    async with a_pool() as (_, processes, _):
        server._proc_pool = processes
        await until(attaching.done, "the pool is found")
    assert isinstance(attaching.result(), Pool)
