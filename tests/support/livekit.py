"""A real livekit-server for tests: the project's own binary and livekit.yaml, on free ports; knows no test."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from bench.harness.system import ROOT, free_ports
from cli.setup import livekit_binary

KEY, SECRET = "devkey", "0123456789abcdef0123456789abcdef0123"
START_SECONDS = 60.0  # 0.3 s on a machine with nothing else to do


@dataclass(frozen=True, slots=True)
class LiveKit:
    """A running server. `url`: ws://, for SDKs; `process`: to be killed by tests that have a server of their own."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def run_livekit(directory: Path, *, webhook_url: str | None = None) -> Iterator[LiveKit]:
    """A server that keeps its configuration and log in `directory`, and calls `webhook_url` if there is one."""
    port, tcp, udp, metrics = free_ports(4)
    config = yaml.safe_load((ROOT / "livekit.yaml").read_text())
    config["port"] = port
    config["rtc"] |= {"tcp_port": tcp, "udp_port": udp}
    config["prometheus"] = {"port": metrics}
    config["keys"] = {KEY: SECRET}
    del config["webhook"]
    if webhook_url is not None:
        config["webhook"] = {"api_key": KEY, "urls": [webhook_url]}
    path, log_path = directory / "livekit.yaml", directory / "livekit.log"
    path.write_text(yaml.safe_dump(config))
    with log_path.open("wb") as log:
        server = subprocess.Popen([livekit_binary.found(os.environ), "--config", path], stdout=log, stderr=log)
    try:
        until = time.monotonic() + START_SECONDS
        while not _answers(f"http://127.0.0.1:{port}"):
            assert server.poll() is None, log_path.read_text()
            assert time.monotonic() < until, "livekit-server does not answer"
            time.sleep(0.02)
        yield LiveKit(f"ws://127.0.0.1:{port}", server)
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKit]:
    """One server for every test of the run; make rooms of your own, and leave it running."""
    with run_livekit(tmp_path_factory.mktemp("livekit")) as server:
        yield server


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False
