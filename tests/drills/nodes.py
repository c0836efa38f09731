"""Two LiveKit nodes over one Valkey, each with a worker on a machine of its own: a network namespace; knows no fault.

The dispatcher, Valkey and the caller are on this machine. All three machines are on one bridge. Root only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import pytest
import yaml
from redis import Redis

from bench.harness.system import FOREIGN, ROOT, free_ports, until
from cli.setup import livekit_binary
from cli.up.parts import valkey_server

KEY, SECRET = "devkey", "0123456789abcdef0123456789abcdef0123"
BRIDGE, NETWORK = "greenroom0", "10.78.0"
HERE = f"{NETWORK}.1"
READY_SECONDS = 90.0  # for two workers to be warm, one after the other; about 20 on a machine with nothing else to do


def can_make_networks() -> bool:
    """Whether this machine lets us make network namespaces and join them."""
    probe = "greenroom-probe"
    try:
        made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode == 0
        bridged = subprocess.run(["ip", "link", "add", probe[-8:], "type", "bridge"], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", probe[-8:]], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
    except OSError:
        return False
    return made and bridged.returncode == 0


needs_networks = pytest.mark.skipif(not can_make_networks(), reason="network namespaces can't be made here (ip netns)")


def _ip(*words: str, inside: str | None = None) -> None:
    subprocess.run(["ip", *(["-n", inside] if inside else []), *words], check=True, capture_output=True)


def _remove(*words: str) -> None:
    """As `_ip`; what is not there is fine."""
    subprocess.run(["ip", *words], check=False, capture_output=True)


@dataclass
class Machine:
    """One of the two machines: a LiveKit node and a worker beside it.

    Attributes:
        name: of the namespace, and of the worker.
        address: on the bridge.
    """

    name: str
    address: str

    def __post_init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._wire = f"{self.name}-w"
        self._take_away()  # what a run has left that was killed
        _ip("netns", "add", self.name)
        _ip("link", "add", self._wire, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", self._wire, "master", BRIDGE, "up")
        for words in (
            ("addr", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "lo", "up"),
            ("link", "set", "eth0", "up"),
            ("route", "add", "default", "via", HERE),  # LiveKit's SDK looks for no way to anywhere without one
        ):
            _ip(*words, inside=self.name)

    def run(self, what: str, command: Sequence[str | Path], directory: Path, environment: Mapping[str, str]) -> None:
        """Start a program there."""
        log = (directory / f"{self.name}-{what}.log").open("wb")
        self.processes[what] = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()

    def cut(self, address: str) -> None:
        """Lose the way to an address: what is sent there is dropped, and nobody is told."""
        _ip("route", "add", "blackhole", f"{address}/32", inside=self.name)

    def mend(self, address: str) -> None:
        """Have the way back."""
        _ip("route", "del", "blackhole", f"{address}/32", inside=self.name)

    def die(self) -> None:
        """All at once, and without a word to anybody: its wire is cut first."""
        _ip("link", "set", self._wire, "down")
        self.kill()

    def kill(self) -> None:
        """End all that runs there."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        self._take_away()

    def _take_away(self) -> None:
        _remove("link", "del", self._wire)  # its dead processes' connections may hold the namespace for a while
        _remove("netns", "del", self.name)


class Nodes:
    """The whole of it, as a context manager. Dispatcher and callers speak to LiveKit through the second machine.

    Attributes: first, second, url, livekit_url, livekit_api_key, livekit_api_secret, directory.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        """Start everything in `directory`, the workers with `environment` added, and wait until both are warm."""
        self.directory = directory
        self.livekit_api_key, self.livekit_api_secret = KEY, SECRET
        self._given = environment
        self._ours: list[subprocess.Popen[bytes]] = []
        self._valkey, self._api, self._signal, self._tcp, self._udp, self._health = free_ports(6)
        self.url = f"http://127.0.0.1:{self._api}"
        _remove("link", "del", BRIDGE)
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        self._machines: list[Machine] = []
        try:
            self.first, self.second = self._machine("gr-first", 2), self._machine("gr-second", 3)
            self.livekit_url = f"ws://{self.second.address}:{self._signal}"
            self._start()
        except BaseException:
            self.close()
            raise

    def has_room(self, machine: Machine, room: str) -> bool:
        """Whether this room is on that machine's node; LiveKit chooses one of the two."""
        with Redis(host=HERE, port=self._valkey) as store:
            node: Any = store.hget("room_node_map", room)
            told: Any = store.hget("nodes", node)
        return machine.address.encode() in told

    def _machine(self, name: str, number: int) -> Machine:
        self._machines.append(Machine(name, f"{NETWORK}.{number}"))
        return self._machines[-1]

    def _start(self) -> None:
        options = ["--bind", HERE, "--port", str(self._valkey), "--protected-mode", "no", "--save", ""]
        self._here("valkey", [valkey_server(), *options])
        for machine in self._machines:
            self._node(machine)
        for machine in self._machines:
            until(
                partial(_answers, f"http://{machine.address}:{self._signal}"), 60, f"{machine.name}'s LiveKit answers"
            )
        self._here("dispatcher", [sys.executable, "-m", "dispatcher"])
        until(lambda: _answers(f"{self.url}/healthz"), 60, "the dispatcher answers")
        for number, machine in enumerate(self._machines, 1):
            environment = self._environment(machine.address)
            machine.run("worker", [sys.executable, "-m", "worker"], self.directory, environment | _name(machine))
            until(partial(self._warm, number), READY_SECONDS, f"{machine.name}'s worker is warm")

    def _node(self, machine: Machine) -> None:
        config = yaml.safe_load((ROOT / "livekit.yaml").read_text())
        config |= {"port": self._signal, "bind_addresses": [machine.address], "keys": {KEY: SECRET}}
        config["rtc"] |= {"tcp_port": self._tcp, "udp_port": self._udp, "node_ip": machine.address}
        del config["rtc"]["interfaces"]
        config["rtc"]["enable_loopback_candidate"] = False  # it would answer from there, and nobody would get it
        config["redis"] = {"address": f"{HERE}:{self._valkey}"}
        config["webhook"] = {"api_key": KEY, "urls": [f"http://{HERE}:{self._api}/webhooks/livekit"]}
        del config["prometheus"]
        path = self.directory / f"{machine.name}.yaml"
        path.write_text(yaml.safe_dump(config))
        command = [livekit_binary.found(os.environ), "--config", path]
        machine.run("livekit", command, self.directory, os.environ)

    def _environment(self, livekit: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in FOREIGN and "GREENROOM_" not in name}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "GREENROOM_AGENTS": str(ROOT / "agents"),
            "GREENROOM_RATE_LIMIT": "off",
            "GREENROOM_HOST": "0.0.0.0",  # the nodes' webhooks come over the bridge
            "GREENROOM_PORT": str(self._api),
            "GREENROOM_OPEN": "1",
            "GREENROOM_WORKER_PORT": str(self._health),
            "LIVEKIT_URL": f"ws://{livekit}:{self._signal}",
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
            "REDIS_URL": f"redis://{HERE}:{self._valkey}/0",
            **self._given,
        }

    def _here(self, what: str, command: Sequence[str | Path]) -> None:
        with (self.directory / f"{what}.log").open("wb") as log:
            self._ours.append(
                subprocess.Popen(
                    command,
                    cwd=self.directory,
                    env=self._environment(self.second.address),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )

    def _warm(self, processes: int) -> bool:
        answer = httpx.get(f"{self.url}/api/health", trust_env=False, timeout=5).json()
        return int(answer["sessions"]["pool"]) >= processes

    def logs(self) -> str:
        """The last lines of each program."""
        files = sorted(self.directory.glob("*.log"))
        return "\n".join(f"== {file.name}\n{file.read_text('utf-8', 'replace')[-3000:]}" for file in files)

    def close(self) -> None:
        """Stop everything, and take the networks away."""
        for machine in self._machines:
            machine.close()
        for process in self._ours:
            process.kill()
            process.wait()
        _remove("link", "del", BRIDGE)

    def __enter__(self) -> Nodes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _name(machine: Machine) -> dict[str, str]:
    return {"GREENROOM_WORKER_ID": machine.name, "PREWARM_POOL_SIZE": "2"}  # one each


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).is_success
    except httpx.TransportError:
        return False
