"""A second worker beside that of `greenroom up`, in a process group of its own; knows no test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

import httpx
import psutil

from bench.harness.system import ROOT, System, free_ports, until

WARM_SECONDS = 90.0  # about 10 on a machine with nothing else to do


class SecondWorker:
    """A running worker. `id`: as the API names it."""

    def __init__(self, system: System, environment: Mapping[str, str], name: str) -> None:
        """Start it and wait until it is warm."""
        self.id = name
        ours = {
            "GREENROOM_AGENTS": str(ROOT / "agents"),
            "LIVEKIT_URL": system.livekit_url,
            "LIVEKIT_API_KEY": system.livekit_api_key,
            "LIVEKIT_API_SECRET": system.livekit_api_secret,
            "REDIS_URL": system.redis_url,
            "GREENROOM_WORKER_ID": name,
            "GREENROOM_WORKER_PORT": str(free_ports(1)[0]),
            "PREWARM_POOL_SIZE": "4",  # of both: the fleet keeps as many as its newest worker is told
            **environment,
        }
        self._log = (system.directory / f"{name}.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            cwd=system.directory,
            env={**os.environ, **ours},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        before = _pool(system)
        until(lambda: _pool(system) >= before + 2, WARM_SECONDS, f"{name} is warm")

    @property
    def children(self) -> list[psutil.Process]:
        """Its forkserver and its jobs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return list(psutil.Process(self.process.pid).children(recursive=True))
        return []

    def signal_group(self, number: int) -> None:
        """To the worker and everything it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def close(self) -> None:
        """Kill what is left."""
        self.signal_group(signal.SIGKILL)
        self.process.wait()
        self._log.close()


@contextlib.contextmanager
def second_worker(
    system: System, environment: Mapping[str, str] | None = None, *, name: str = "second"
) -> Iterator[SecondWorker]:
    """A second worker as long as the block lasts."""
    worker = SecondWorker(system, environment or {}, name)
    try:
        yield worker
    finally:
        worker.close()


def _pool(system: System) -> int:
    answer = httpx.get(f"{system.url}/api/health", trust_env=False, timeout=5).json()
    return int(answer["sessions"]["pool"])
