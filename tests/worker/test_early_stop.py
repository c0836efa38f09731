"""A worker that is told to stop in its first seconds stops, also as the first process of its container."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from bench.harness.system import FOREIGN, ROOT, until
from tests.support.first_process import UNSHARE, needs_unshare
from worker.early_stop import LINE

pytestmark = pytest.mark.faults

BEGINS_SECONDS = 20.0  # for Python to run the first line of ours: 0.1 s on a machine with nothing else to do
STOPS_SECONDS = 5.0  # 0.6 s there
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "a-secret-that-nobody-may-see-0123456789",
    "REDIS_URL": "redis://127.0.0.1:1",
    "GREENROOM_AGENTS": str(ROOT / "agents"),
    "GREENROOM_WORKER_PORT": "0",
}
FIRST = pytest.param(UNSHARE, marks=needs_unshare, id="as the first process")
HOW = pytest.mark.parametrize("under", [pytest.param((), id="as any process"), FIRST])


class Starting:
    """A worker that has just been started. `pid`: its own, however it was started."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, *, wrapped: bool) -> None:
        self.process, self.log = process, log
        self.pid = until(self._child, BEGINS_SECONDS, "it is started") if wrapped else process.pid

    def _child(self) -> int | None:
        return next((each.pid for each in psutil.Process(self.process.pid).children()), None)

    def handles(self, number: int) -> bool:
        """Whether it has a handler for this signal."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) & 1 << number - 1)

    def stopped_by(self, number: int) -> float:
        """Send it this signal; the seconds until it had ended, as a success."""
        sent = time.monotonic()
        os.kill(self.pid, number)
        assert self.process.wait(STOPS_SECONDS) == 0, self.log.read_text()
        return time.monotonic() - sent


@contextmanager
def starting(directory: Path, under: tuple[str, ...]) -> Iterator[Starting]:
    log = directory / "worker.log"
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN and "GREENROOM" not in name}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*under, sys.executable, "-m", "worker"],
            cwd=directory,
            env={**kept, **ENVIRONMENT},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield Starting(process, log, wrapped=bool(under))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@HOW
def test_it_stops_while_it_loads_what_it_needs(tmp_path: Path, under: tuple[str, ...]) -> None:
    with starting(tmp_path, under) as worker:
        until(lambda: worker.handles(signal.SIGTERM), BEGINS_SECONDS, "it handles the signal")
        worker.stopped_by(signal.SIGTERM)
        assert worker.log.read_bytes() == LINE  # so it had loaded nothing yet


@HOW
def test_it_stops_while_its_first_process_warms_up(tmp_path: Path, under: tuple[str, ...]) -> None:
    with starting(tmp_path, under) as worker:
        until(_says(worker, "event=started"), 60, "it serves")
        children = psutil.Process(worker.pid).children(recursive=True)
        worker.stopped_by(signal.SIGTERM)
        assert "before=it_was_warm" in worker.log.read_text()
        assert "forkserver_died" not in worker.log.read_text()
        _, left = psutil.wait_procs(children, timeout=STOPS_SECONDS)
        assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []


def _says(worker: Starting, part: str) -> Callable[[], bool]:
    return lambda: part in worker.log.read_text()


def test_a_port_that_is_taken_is_said_and_the_worker_may_be_started_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        kept = {name: value for name, value in os.environ.items() if name not in FOREIGN and "GREENROOM" not in name}
        ended = subprocess.run(
            [sys.executable, "-m", "worker"],
            env={**kept, **ENVIRONMENT, "GREENROOM_WORKER_PORT": port},
            capture_output=True,
            text=True,
            timeout=BEGINS_SECONDS + STOPS_SECONDS,
        )
    assert ended.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in ended.stderr
