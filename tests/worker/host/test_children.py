"""A worker whose forkserver dies says so, goes on with its calls and gets another; orphans are buried."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from livekit import api

from bench.harness.system import ROOT, alive
from session.record import State
from tests.session.making import eventually
from tests.support.first_process import UNSHARE, needs_unshare
from tests.support.livekit import LiveKit
from tests.worker.running import RunningWorker, a_running_worker

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

NOTICED_SECONDS = 5.0  # it takes half a second
WARM_SECONDS = 60.0  # about 5
FIRST = pytest.param(UNSHARE, marks=needs_unshare, id="as the first process")
HOW = pytest.mark.parametrize("under", [pytest.param((), id="as any process"), FIRST])


def forkservers(worker: RunningWorker) -> list[psutil.Process]:
    """Its living children that load the models; the jobs of one that died, too, where it is the first process."""
    living = [each for each in worker.itself.children() if each.status() != psutil.STATUS_ZOMBIE]
    return [each for each in living if "multiprocessing.forkserver" in " ".join(each.cmdline())]


def dead(worker: RunningWorker) -> list[int]:
    """Its children that have ended and that nobody has buried."""
    return [each.pid for each in worker.itself.children() if each.status() == psutil.STATUS_ZOMBIE]


@asynccontextmanager
async def without_its_forkserver(*given: Any, **settings: Any) -> AsyncIterator[tuple[RunningWorker, set[int]]]:
    """A worker with one call, whose forkserver was killed; and the processes that it had then."""
    async with a_running_worker(*given, **settings) as worker:
        await worker.call(worker.name)
        had = {each.pid for each in worker.processes()}
        forkservers(worker)[0].kill()
        await eventually(_says(worker, "event=forkserver_died signal=SIGKILL"), seconds=NOTICED_SECONDS)
        yield worker, had


def _says(worker: RunningWorker, part: str) -> Callable[[], Any]:
    async def said() -> bool:
        return part in worker.log.read_text()

    return said


@HOW
async def test_a_forkserver_that_was_killed_is_replaced_and_its_calls_go_on(
    tmp_path: Path, livekit: LiveKit, valkey_url: str, namespace: str, under: tuple[str, ...]
) -> None:
    async with without_its_forkserver(tmp_path, livekit, valkey_url, namespace, under=under) as (worker, had):

        async def replaced() -> bool:
            return dead(worker) == [] and len({each.pid for each in forkservers(worker)} - had) == 1

        await eventually(replaced, seconds=NOTICED_SECONDS)
        second = f"{namespace}-second"
        await worker.call(second)  # it takes the process that was warm; the next one is the new forkserver's

        async def warm_again() -> bool:
            heartbeat = await worker.heartbeat()
            return heartbeat is not None and (heartbeat.idle, heartbeat.active) == (1, 2)

        await eventually(warm_again, seconds=WARM_SECONDS)
        await worker.call(f"{namespace}-third")
        assert (await worker.session(namespace)).state is State.READY
        assert await worker.agents(namespace) == [f"agent-{namespace}-1"]

        await worker.server.room.delete_room(api.DeleteRoomRequest(room=namespace))
        await worker.until(namespace, State.ENDED, 10)

        async def buried() -> bool:
            return dead(worker) == [] and (await worker.heartbeat() or worker_is_gone()).active == 2

        await eventually(buried, seconds=10)


def worker_is_gone() -> Any:
    raise AssertionError("it sends no heartbeat")


async def test_the_death_of_a_process_is_still_reported_without_its_forkserver(
    tmp_path: Path, livekit: LiveKit, valkey_url: str, namespace: str
) -> None:
    async with without_its_forkserver(tmp_path, livekit, valkey_url, namespace) as (worker, had):
        busy = [pid for pid in had if alive(pid) and psutil.Process(pid).net_connections("udp")]
        assert len(busy) == 1
        os.kill(busy[0], signal.SIGKILL)
        session = await worker.until(namespace, State.RECOVERING, NOTICED_SECONDS)
        assert session.job is None


ORPHANS = """
import asyncio, os, subprocess, sys
from worker.host.children import Children

assert os.getpid() == 1
subprocess.run(["sh", "-c", "sleep 0.2 & sleep 0.3 &"], check=True)  # they outlive their parent

def zombies():
    stats = (open(f"/proc/{pid}/stat").read() for pid in os.listdir("/proc") if pid.isdigit())
    return [stat for stat in stats if ") Z " in stat]

async def main():
    while len(zombies()) < 2:
        await asyncio.sleep(0.02)
    await Children().look()
    assert zombies() == []
    print("buried")

asyncio.run(main())
"""


@needs_unshare
def test_the_first_process_buries_orphans() -> None:
    command = [*UNSHARE, sys.executable, "-c", ORPHANS]
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout == "buried\n", result.stderr
