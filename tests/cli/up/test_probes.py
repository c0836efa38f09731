"""Whether a local server is ready, asked over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.harness.system import free_ports
from cli.up import probes

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def server_that_says(answer: bytes) -> AsyncIterator[int]:
    """A server that gives everybody the same answer; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def health(status: str, pool: int, **more: str) -> bytes:
    return json.dumps({"success": True, "status": status, "sessions": {"pool": pool}, **more}).encode()


async def test_valkey_that_pongs_is_ready():
    async with server_that_says(b"+PONG\r\n") as port:
        assert await probes.valkey("127.0.0.1", port) is None


async def test_valkey_that_still_loads_is_not_ready():
    async with server_that_says(b"-LOADING Valkey is loading the dataset in memory\r\n") as port:
        assert "LOADING" in str(await probes.valkey("127.0.0.1", port))


async def test_nobody_listening_is_an_error_of_the_connection():
    with pytest.raises(OSError, match=r"Connect call failed"):
        await probes.valkey("127.0.0.1", free_ports(1)[0])


async def test_a_page_that_answers_200_is_ready_and_any_other_is_not():
    async with server_that_says(b"HTTP/1.0 200 OK\r\n\r\nOK") as port:
        assert await probes.http_ok("127.0.0.1", port, "/") is None
    async with server_that_says(b"HTTP/1.1 406 Not Acceptable\r\n\r\nNot Ready") as port:
        assert await probes.http_ok("127.0.0.1", port, "/") == "/ answers 406"


async def test_what_is_not_http_is_an_error_of_the_connection():
    async with server_that_says(b"SSH-2.0\r\n") as port:
        with pytest.raises(ConnectionError):
            await probes.http_get("127.0.0.1", port, "/")


async def test_a_warm_agent_means_that_a_caller_can_be_served():
    async with server_that_says(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + health("healthy", 1)
    ) as port:
        assert await probes.caller_can_be_served("127.0.0.1", port) is None


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, health("healthy", 0), "0 warm"),
        (200, health("degraded", 0), "degraded"),
        (503, health("unhealthy", 0, error="The store can't be reached."), "The store can't be reached"),
        (200, b"not json", "without a pool"),
        (404, b"{}", "404"),
        (200, b"[]", "without a pool"),
    ],
)
def test_anything_else_means_that_it_cannot_and_says_why(status, body, reason):
    assert reason in str(probes.unserved(status, body))
