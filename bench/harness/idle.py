"""A Greenroom that waits for calls: what it costs, and when it has come to rest; places no call.

It imports nothing of LiveKit or of speech: a process that maps the same libraries takes a share of what they use.
"""

from __future__ import annotations

import asyncio
import time

import httpx
import psutil

from bench.harness.processes import in_a_call, memory, total_pss
from bench.harness.system import System
from bench.report.stats import Figure

REST_SECONDS = 3.0  # after the pool is full: for what a start leaves to be freed
SETTLE_SECONDS = 60.0
SAMPLES = 5  # a second apart


def job_processes(system: System) -> list[psutil.Process]:
    """Processes that run a call or wait for one: forked by the worker's forkserver."""
    worker = psutil.Process(system.pids["worker"])
    servers = [process for process in worker.children() if process.children()]
    return [job for server in servers for job in server.children()]


async def settled(system: System, *, pool: int) -> None:
    """Wait until no call runs and at least `pool` processes are warm. Raises TimeoutError."""
    async with httpx.AsyncClient(base_url=system.url, trust_env=False) as http:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            counts = (await http.get("/api/health")).json()["sessions"]
            media = sum(in_a_call(process) for process in job_processes(system))
            if counts["total"] == 0 and counts["pool"] >= pool and not media:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"Greenroom doesn't come to rest: {counts}, {media} processes with media")
            await asyncio.sleep(0.05)


async def measure_idle(system: System, pool: int, figures: dict[str, Figure]) -> None:
    """What all of it uses together while nobody calls, and each warm process of its own."""
    await settled(system, pool=pool)
    await asyncio.sleep(REST_SECONDS)
    for _ in range(SAMPLES):
        figures["pss_total"].ours.append(total_pss(process.pid for process in system.processes()))
        each = [memory(process.pid) for process in job_processes(system)]
        figures["own_idle"].ours.extend(one.own for one in each)
        figures["pss_idle"].ours.extend(one.pss for one in each)
        await asyncio.sleep(1.0)
