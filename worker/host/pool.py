"""The worker's processes and connection, by private names of livekit-agents, which no other file uses.

Checked against livekit-agents 1.8.9 by tests/worker/host/test_pool.py, which fails when a new version moves a name.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from livekit.agents import AgentServer

from runtime.background import Background

logger = logging.getLogger(__name__)

PING_SECONDS = 1.0  # between two questions to a process whether it lives
HUNG_SECONDS = 4.0  # without an answer: killed, so that a blocked process is gone within 5 s
LONGEST_PAUSE = 60.0  # seconds, between two tries to warm a process
FORGOTTEN_SECONDS = 180.0  # after the last failure; two in a row are a pause and a time-out apart, 120 s at most
ATTACH_SECONDS = 10.0  # AgentServer.run makes its pool before its first await; more means it never will

JobClosed = Callable[[Any, int | None], None]


@dataclass(frozen=True, slots=True)
class Counts:
    """Processes of one worker."""

    idle: int
    starting: int
    active: int


@dataclass(frozen=True, slots=True)
class Running:
    """A process that has a call. `job`: LiveKit's; `since`: Unix seconds when it got the job."""

    job: Any
    pid: int
    since: float


class Pool:
    """A view of a running server's process pool.

    A process that cannot warm up, or dies while it waits, is not replaced at once but after a pause, twice as long each
    time: a fault that stays must not burn a core.

    Args:
        server: has been told to run.
        job_closed: called with the job and the exit code when a process that ran one is gone.
        changed: called when there is one idle process more, or a process less.
        clock: seconds.

    Attributes:
        spawned: processes ever warmed.
        target: idle processes that it keeps.
    """

    def __init__(
        self,
        server: AgentServer,
        job_closed: JobClosed,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._pool = server._proc_pool
        self._job_closed, self._changed = job_closed, changed
        self._clock = clock
        self.target = self._pool._target_idle_processes
        self._resuming: asyncio.TimerHandle | None = None
        self._surplus: set[Any] = set()
        self._tasks = Background("worker")
        self._failed_at = -math.inf
        self._failures = 0
        self.spawned = 0
        self._pool.on("process_ready", self._ready)
        self._pool.on("process_closed", self._closed)

    @classmethod
    async def attach(cls, server: AgentServer, job_closed: JobClosed, changed: Callable[[], None]) -> Pool:
        """Wait until the server has made its pool.

        Raises:
            TimeoutError: it did not within ATTACH_SECONDS.
        """
        async with asyncio.timeout(ATTACH_SECONDS):
            while getattr(server, "_proc_pool", None) is None:  # noqa: ASYNC110 - the library signals nothing
                await asyncio.sleep(0.01)
        return cls(server, job_closed, changed)

    def counts(self) -> Counts:
        """How many processes there are now."""
        active = sum(1 for process in self._pool.processes if process.running_job is not None)
        return Counts(idle=self._pool._warmed_proc_queue.qsize(), starting=len(self._pool._spawn_tasks), active=active)

    def running(self) -> list[Running]:
        """The processes that have a call."""
        busy = [(each, each.running_job) for each in self._pool.processes]
        return [
            Running(info.job, pid, info.launched_at)
            for process, info in busy
            if info is not None and (pid := getattr(process, "pid", None)) is not None
        ]

    @property
    def connected(self) -> bool:
        """Whether LiveKit knows the worker now: after an outage it takes up to 10 s until it registers again."""
        return not self._server._connecting

    @property
    def failed_warmups(self) -> int:
        """Processes in a row that were lost before they had a call."""
        return self._failures if self._clock() - self._failed_at < FORGOTTEN_SECONDS else 0

    @property
    def pids(self) -> list[int]:
        """The processes' ids."""
        return [pid for process in self._pool.processes if (pid := getattr(process, "pid", None)) is not None]

    def resize(self, target: int) -> None:
        """Keep so many idle processes from now on: others are begun, or idle ones closed, never one with a call."""
        if target == self.target:
            return
        logger.info("event=pool_resized before=%d after=%d", self.target, target)
        self.target = target
        if self._resuming is None:
            self._keep(target)

    async def close(self) -> None:
        """End all processes, also those that still warm up, and get no others; for a server that never served."""
        await self._pool.aclose()

    def _ready(self, process: Any) -> None:
        self.spawned += 1
        process._opts.ping_interval = PING_SECONDS
        process._opts.ping_timeout = HUNG_SECONDS
        asyncio.get_running_loop().call_soon(self._settle)  # the library takes it for idle after this event

    def _settle(self) -> None:
        self._close_surplus()
        self._changed()

    def _closed(self, process: Any) -> None:
        info = process.running_job
        self._changed()
        if info is not None:
            self._job_closed(info.job, process.exitcode)
        elif process in self._surplus:
            self._surplus.discard(process)
        elif not self._pool._closed:
            self._failed(process.exitcode)

    def _keep(self, target: int) -> None:
        self._pool._default_num_idle_processes = target  # which the library takes for the most there may be
        self._pool.set_target_idle_processes(target)
        self._close_surplus()

    def _close_surplus(self) -> None:
        """Close idle processes that are too many, but none that a job waits for."""
        idle = self._pool._warmed_proc_queue
        while idle.qsize() > max(self.target, self._pool._jobs_waiting_for_process):
            process = idle.get_nowait()
            self._surplus.add(process)
            self._tasks.start(process.aclose(), "close an idle process")

    def _failed(self, exitcode: int | None) -> None:
        self._failures = self.failed_warmups + 1
        self._failed_at = self._clock()
        pause = backoff(self._failures)
        logger.error("event=warmup_failed exitcode=%s in_a_row=%d pause_seconds=%g", exitcode, self._failures, pause)
        if self._resuming is not None:
            self._resuming.cancel()
        self._pool.set_target_idle_processes(0)
        self._resuming = asyncio.get_running_loop().call_later(pause, self._resume)

    def _resume(self) -> None:
        self._resuming = None
        self._keep(self.target)


def backoff(failures: int) -> float:
    """Seconds without a new idle process after so many in a row were lost."""
    return float(min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 10)))
