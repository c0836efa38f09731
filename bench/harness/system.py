"""All of Greenroom on free ports, started with `greenroom up` as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
PORTS = (
    "GREENROOM_PORT",
    "GREENROOM_VALKEY_PORT",
    "GREENROOM_LIVEKIT_PORT",
    "GREENROOM_LIVEKIT_TCP_PORT",
    "GREENROOM_LIVEKIT_UDP_PORT",
    "GREENROOM_LIVEKIT_METRICS_PORT",
    "GREENROOM_WORKER_PORT",
)
# Settings of the developer's own shell that would make this another system than the one described.
FOREIGN = ("REDIS_URL", "LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "PORT", "MAX_BOTS", "PREWARM_POOL_SIZE")


class NotReady(Exception):
    """`greenroom up` ended, or wasn't ready in time; the message ends with its log."""


def free_ports(count: int) -> list[int]:
    """Ports that are free for TCP and UDP on all addresses now, below those that systems give out by themselves."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(15000, 31999)
        if port not in found and _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):
            found.append(port)
    return found


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def until(condition: Callable[[], Any], deadline: float, what: str) -> Any:
    """The first true answer of `condition`, asked for up to `deadline` seconds; else an AssertionError with `what`."""
    end = time.monotonic() + deadline
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {deadline:g} s: {what}"
        time.sleep(0.02)
    return answer


def _redis_url(facts: Mapping[str, Any]) -> str:
    """The store's address with the password of the one that `up` started."""
    url, config = str(facts["redisUrl"]), facts["valkeyConfigPath"]
    return url if config is None else url.replace("://", f"://:{Path(config).read_text('utf-8').split()[1]}@", 1)


class System:
    """A running `greenroom up`, in a directory of its own. A context manager: leaving it stops everything.

        with System(tmp_path, {"PREWARM_POOL_SIZE": "1"}) as system:
            httpx.get(system.url + "/api/health")

    Attributes: url, livekit_url, livekit_api_key, livekit_api_secret, redis_url, directory, ports (by setting).
    """

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        *,
        deadline: float = 90.0,
        command: str = "up",
    ) -> None:
        """Start in `directory` (also the working directory of every part, so a `.env` there counts) with `environment`
        added; wait up to `deadline` seconds for the ready line. `command` is "up" or "dev".

        Raises NotReady, with nothing left running.
        """
        self.directory = directory
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self._ready_file = directory / "ready.json"
        self._log = directory / "up.log"
        inherited = {k: v for k, v in os.environ.items() if k not in FOREIGN and not k.startswith("GREENROOM_")}
        if "GREENROOM_CACHE" in os.environ:
            inherited["GREENROOM_CACHE"] = os.environ["GREENROOM_CACHE"]
        ours = {"GREENROOM_AGENTS": str(ROOT / "agents"), **{name: str(port) for name, port in self.ports.items()}}
        ours["GREENROOM_RATE_LIMIT"] = "off"  # every test and every bench comes from one address
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", command, "--ready-file", str(self._ready_file)],
                cwd=directory,
                env={**inherited, **ours, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait_ready(deadline)
            facts = self._facts()
            self.url: str = facts["url"]
            self.livekit_url: str = facts["livekitUrl"]
            self.redis_url = _redis_url(facts)
            self.livekit_api_key, self.livekit_api_secret = self._keys(facts, environment or {})
        except BaseException:
            self.kill()
            raise

    def wait_ready(self, deadline: float = 90.0) -> None:
        """Wait until a caller can be served. Raises NotReady."""
        end = time.monotonic() + deadline
        while not self._ready_file.exists():
            if self.process.poll() is not None:
                raise NotReady(f"`greenroom up` ended with exit code {self.process.returncode}\n{self.log()}")
            if time.monotonic() > end:
                raise NotReady(f"`greenroom up` wasn't ready after {deadline:g} s\n{self.log()}")
            time.sleep(0.05)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids now: up, valkey, livekit, dispatcher, worker. One that was restarted is new once it is ready."""
        return {str(name): int(pid) for name, pid in self._facts()["pids"].items()}

    def log(self) -> str:
        """Everything printed so far."""
        return self._log.read_text("utf-8", "replace")

    def processes(self) -> list[psutil.Process]:
        """Every process of the system that is alive now: `up`, its parts, their children."""
        with contextlib.suppress(psutil.NoSuchProcess):
            up = psutil.Process(self.process.pid)
            return [p for p in (up, *up.children(recursive=True)) if _lives(p)]
        return []

    def zombies(self) -> list[int]:
        """Process ids of what has died and nobody has buried (`<defunct>`)."""
        everything = psutil.Process(self.process.pid).children(recursive=True)
        return [each.pid for each in everything if each.is_running() and each.status() == psutil.STATUS_ZOMBIE]

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def stop(self, deadline: float = 20.0) -> int:
        """Stop as Ctrl-C does and wait; the exit code. Kills everything that is left after `deadline` seconds."""
        if self.process.poll() is None:
            self.interrupt()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(deadline)
        self.kill()
        return self.process.returncode

    def kill(self) -> None:
        """Kill everything that runs, if anything does."""
        left = self.processes()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(left, timeout=5)

    def __enter__(self) -> System:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _facts(self) -> dict[str, Any]:
        return dict(json.loads(self._ready_file.read_text("utf-8")))

    def _keys(self, facts: dict[str, Any], environment: Mapping[str, str]) -> tuple[str, str]:
        if facts["keysPath"] is None:
            return environment["LIVEKIT_API_KEY"], environment["LIVEKIT_API_SECRET"]
        kept = json.loads(Path(facts["keysPath"]).read_text("utf-8"))
        return kept["api_key"], kept["api_secret"]


def _lives(process: psutil.Process) -> bool:
    """Whether the process is more than a dead one's entry."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def alive(pid: int) -> bool:
    """Whether a process with this id is alive (not a zombie)."""
    try:
        return _lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False
