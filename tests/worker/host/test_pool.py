"""The private names of livekit-agents that worker/host/pool.py uses: tried on a real pool of real processes."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import AgentServer, JobContext, JobExecutorType, JobProcess
from livekit.agents.ipc.proc_pool import ProcPool
from livekit.agents.job import JobAcceptArguments, RunningJobInfo

from session.record import State
from tests.pipeline.stage import until
from tests.session.making import NOON, a_session
from tests.session.memory_store import MemoryStore
from tests.worker.jobs import SECRET, a_job, settings
from worker.host import pool as pool_module
from worker.host.pool import (
    FORGOTTEN_SECONDS,
    HUNG_SECONDS,
    LONGEST_PAUSE,
    PING_SECONDS,
    Counts,
    JobClosed,
    Pool,
    backoff,
)
from worker.host.server import JobAcceptor, Slots

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

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


@dataclass
class Scene:
    """A pool, the library's own beneath it, and the deaths that were told."""

    pool: Pool
    processes: ProcPool
    closed: list[tuple[str, int | None]]

    async def warm(self, *, seconds: float = 30.0) -> None:
        await until(lambda: self.pool.counts() == Counts(idle=IDLE, starting=0, active=0), "all warm", seconds=seconds)


@asynccontextmanager
async def a_pool(
    warm_up: Callable[[JobProcess], None] = nothing_to_warm,
    call: Callable[[JobContext], Awaitable[None]] = wait_for_ever,
    job_closed: JobClosed = lambda job, code: None,
    **given: Any,
) -> AsyncIterator[Scene]:
    closed: list[tuple[str, int | None]] = []
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(["livekit.agents.ipc.job_proc_lazy_main", __name__])
    facts: dict[str, Any] = {"memory_limit_mb": 0, "num_idle_processes": IDLE, "initialize_timeout": 20.0, **given}
    processes = ProcPool(
        initialize_process_fnc=warm_up,
        job_entrypoint_fnc=call,
        session_end_fnc=None,
        simulation_end_fnc=None,
        close_timeout=1.0,
        session_end_timeout=1.0,
        inference_executor=None,
        job_executor_type=JobExecutorType.PROCESS,
        mp_ctx=forkserver,
        memory_warn_mb=0,
        http_proxy=None,
        loop=asyncio.get_running_loop(),
        **facts,
    )

    def told(job: Any, code: int | None) -> None:
        closed.append((job.id, code))
        job_closed(job, code)

    server: Any = Server(processes)
    scene = Scene(Pool(server, told, lambda: None), processes, closed)
    starting = asyncio.create_task(processes.start())  # waits until all are warm, and much longer if they never are
    try:
        yield scene
    finally:
        await processes.aclose()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)


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
    async with a_pool() as scene:
        await scene.warm()
        pool = scene.pool
        assert pool.spawned == IDLE
        assert len(set(pool.pids)) == IDLE
        every: Any = scene.processes.processes
        for process in every:
            assert (process._opts.ping_interval, process._opts.ping_timeout) == (PING_SECONDS, HUNG_SECONDS)

        await scene.processes.launch_job(a_launch())
        assert pool.counts().active == 1
        (running,) = pool.running()
        assert (running.job.id, running.pid in pool.pids) == ("job_a", True)
        assert time.time() - 60 < running.since <= time.time()
        await until(lambda: pool.counts() == Counts(idle=IDLE, starting=0, active=1), "the pool refills itself")
        assert pool.spawned == IDLE + 1

        busy: Any = scene.processes.get_by_job_id("job_a")
        assert busy is not None
        os.kill(busy.pid, signal.SIGKILL)
        await until(lambda: scene.closed, "the death is told")
        assert scene.closed == [("job_a", -signal.SIGKILL)]
        await until(lambda: pool.counts().active == 0, "it is not counted any more")
        assert pool.failed_warmups == 0


async def test_a_call_whose_process_is_killed_waits_for_another_agent() -> None:
    store = MemoryStore(lambda: NOON)
    await store.start(a_session(state=State.READY, job="job_a", worker="worker_a"), max_seats=5, op="start")
    door = JobAcceptor(store, Slots(1), settings(), "worker_a")
    async with a_pool(job_closed=door.job_closed) as scene:
        await scene.warm()
        await scene.processes.launch_job(a_launch())
        busy: Any = scene.processes.get_by_job_id("job_a")
        assert busy is not None
        os.kill(busy.pid, signal.SIGKILL)
        await until(lambda: scene.closed, "the death is told")
        await door.reported()
        session = await store.get("session_a")
    assert (session.state, session.job, session.deadline) == (State.RECOVERING, None, NOON)


async def outgrow(_: JobContext) -> None:
    """A call that takes 200 MB more than its process had."""
    taken = os.urandom(1_000_000) * 200
    await asyncio.Event().wait()
    del taken


async def test_a_call_that_outgrows_its_memory_limit_is_ended_and_waits_for_another_agent() -> None:
    store = MemoryStore(lambda: NOON)
    await store.start(a_session(state=State.READY, job="job_a", worker="worker_a"), max_seats=5, op="start")
    door = JobAcceptor(store, Slots(1), settings(), "worker_a")
    async with a_pool(call=outgrow, job_closed=door.job_closed, memory_limit_mb=200) as scene:
        await scene.warm()
        await scene.processes.launch_job(a_launch())
        await until(lambda: scene.closed, "it is ended", seconds=15)
        assert [job for job, _ in scene.closed] == ["job_a"]
        await door.reported()
        assert (await store.get("session_a")).state is State.RECOVERING
        await scene.warm()
        assert scene.pool.failed_warmups == 0  # those that are idle are below the limit


async def test_an_idle_process_that_dies_is_said_and_replaced_after_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    async with a_pool() as scene:
        await scene.warm()
        killed = time.monotonic()
        with caplog.at_level(logging.WARNING, pool_module.__name__):
            os.kill(scene.pool.pids[0], signal.SIGKILL)
            await until(lambda: scene.pool.spawned == IDLE + 1, "another is warmed")
        assert time.monotonic() - killed >= backoff(1)
        said = [record.getMessage() for record in caplog.records if record.name == pool_module.__name__]
        assert said == [f"event=warmup_failed exitcode={-signal.SIGKILL} in_a_row=1 pause_seconds=1"]
        assert scene.closed == []
        assert scene.pool.failed_warmups == 1


@dataclass(frozen=True)
class FailsWhile:
    """Warms no process up while the file `fault` is there; each try leaves a trace beside it."""

    fault: Path

    def __call__(self, _: JobProcess) -> None:
        (self.fault.parent / f"tried-{os.getpid()}").touch()
        if self.fault.exists():
            raise RuntimeError("the model does not load")

    def tries(self) -> int:
        return len(list(self.fault.parent.glob("tried-*")))


@pytest.fixture
def faulty(tmp_path: Path) -> FailsWhile:
    fault = tmp_path / "fault"
    fault.touch()
    return FailsWhile(fault)


async def test_a_warm_up_that_fails_is_tried_again_seldom_until_the_fault_is_gone(faulty: FailsWhile) -> None:
    async with a_pool(faulty) as scene:
        began = time.monotonic()
        await until(lambda: scene.pool.failed_warmups >= 2 * IDLE, "two rounds failed", seconds=30)
        # a round tries all that are missing, and the next one waits for the pause after its last failure
        assert faulty.tries() == 2 * IDLE
        assert time.monotonic() - began >= backoff(IDLE)
        assert scene.pool.spawned == 0
        faulty.fault.unlink()
        await scene.warm()
        assert scene.pool.spawned == IDLE
        assert scene.closed == []


async def test_a_job_is_not_kept_waiting_by_a_pause(faulty: FailsWhile) -> None:
    async with a_pool(faulty) as scene:
        await until(lambda: scene.pool.failed_warmups >= 2 * IDLE, "two rounds failed", seconds=30)
        faulty.fault.unlink()
        await scene.processes.launch_job(a_launch())
        assert scene.pool.counts() == Counts(idle=0, starting=0, active=1)


class Closed:
    """A process that is gone."""

    running_job = None
    exitcode = 1


class Clock:
    """Tells the time it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_failures_in_a_row_are_forgotten_once_the_last_is_long_ago() -> None:
    clock = Clock()
    async with a_pool(num_idle_processes=0) as scene:
        server: Any = Server(scene.processes)
        pool = Pool(server, lambda job, code: None, lambda: None, clock)
        scene.processes.emit("process_closed", Closed())
        clock.now += FORGOTTEN_SECONDS - 1
        scene.processes.emit("process_closed", Closed())
        assert pool.failed_warmups == 2
        clock.now += FORGOTTEN_SECONDS
        assert pool.failed_warmups == 0
        scene.processes.emit("process_closed", Closed())
        assert pool.failed_warmups == 1


def test_the_pause_doubles_up_to_a_minute() -> None:
    assert [backoff(failures) for failures in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff(10_000) == LONGEST_PAUSE


async def test_processes_that_are_closed_at_the_end_are_no_failures() -> None:
    async with a_pool() as scene:
        await scene.warm()
    assert scene.pool.failed_warmups == 0


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
        pool = await Pool.attach(server, lambda job, code: None, lambda: None)
        assert pool.counts() == Counts(idle=0, starting=0, active=0)
    finally:
        await server.aclose()
        await asyncio.gather(running, return_exceptions=True)


class SlowServer:
    """A server that makes its pool a little later."""

    _proc_pool: ProcPool | None = None


async def test_a_server_that_has_no_pool_yet_is_waited_for() -> None:
    server: Any = SlowServer()
    attaching = asyncio.create_task(Pool.attach(server, lambda job, code: None, lambda: None))
    await asyncio.sleep(0)
    assert not attaching.done()
    async with a_pool() as scene:
        server._proc_pool = scene.processes
        await until(attaching.done, "the pool is found")
    assert isinstance(attaching.result(), Pool)


async def test_the_pool_grows_and_shrinks_without_touching_a_call() -> None:
    async with a_pool() as scene:
        await scene.warm()
        await scene.processes.launch_job(a_launch())
        busy: Any = scene.processes.get_by_job_id("job_a")
        for target in (5, 1, 0, 2):
            scene.pool.resize(target)
            wanted = Counts(idle=target, starting=0, active=1)
            await until(lambda w=wanted: scene.pool.counts() == w, f"{target} are idle", seconds=30)  # type: ignore[misc]
            await until(lambda n=target: len(scene.pool.pids) == n + 1, "the others are gone")  # type: ignore[misc]
        assert scene.processes.get_by_job_id("job_a") is busy
        assert scene.closed == []
        assert scene.pool.failed_warmups == 0


async def test_a_job_gets_its_process_where_none_is_kept_idle() -> None:
    async with a_pool() as scene:
        await scene.warm()
        scene.pool.resize(0)
        await until(lambda: scene.pool.counts() == Counts(idle=0, starting=0, active=0), "none is idle")
        await scene.processes.launch_job(a_launch())
        assert scene.pool.counts() == Counts(idle=0, starting=0, active=1)


async def test_processes_that_are_under_way_when_the_pool_shrinks_are_closed_once_warm() -> None:
    async with a_pool() as scene:
        await scene.warm()
        scene.pool.resize(6)
        await until(lambda: scene.pool.counts().starting > 0, "others are begun")
        scene.pool.resize(1)
        await until(lambda: scene.pool.counts() == Counts(idle=1, starting=0, active=0), "one is left", seconds=30)
        assert scene.pool.failed_warmups == 0
