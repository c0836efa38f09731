import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from dispatcher.api.middleware import BodyLimit
from dispatcher.connections import PunctualProtocol
from tests.session.making import eventually

pytestmark = pytest.mark.anyio
SECONDS = 0.4


class Hasty(PunctualProtocol):
    headers_seconds = SECONDS


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(
        BodyLimit(answers, seconds=SECONDS), http=Hasty, port=0, lifespan="off", log_config=None, timeout_keep_alive=30
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started, seconds=10)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


async def closed_after(port: int, *sent: bytes, answered: int = 0) -> tuple[float, bytes]:
    """Seconds until the server closes the connection, from the last of what is sent; and what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number, each in enumerate(sent):
        writer.write(each)
        await writer.drain()
        if number < answered:
            await reader.readuntil(b"ok")
    began = time.monotonic()
    async with asyncio.timeout(10):
        said = await reader.read()
    writer.close()
    return time.monotonic() - began, said


GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([b"GE"], 0, id="half a line"),
        pytest.param([GET[:-2]], 0, id="half of the headers"),
        pytest.param([GET, b"GET / HT"], 1, id="a whole request and half of another"),
    ],
)
async def test_who_does_not_send_its_headers_is_sent_away(port: int, sent: list[bytes], answered: int) -> None:
    seconds, _ = await closed_after(port, *sent, answered=answered)
    assert SECONDS - 0.1 < seconds < SECONDS + 3


async def test_who_does_not_send_its_body_is_told_so(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf"
    seconds, said = await closed_after(port, head)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert seconds < SECONDS + 3


async def test_a_connection_between_two_requests_stays(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(GET)
        async with asyncio.timeout(10):
            await reader.readuntil(b"ok")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2 * SECONDS):
                await reader.read(1)
    writer.close()
