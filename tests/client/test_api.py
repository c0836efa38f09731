"""The API's answers, refusals and silences as a caller meets them."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bench.harness.system import free_ports
from client.api import Control, ControlError, NotReachable, Refused
from tests.support.standin import standing_in

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def answering(*answers):
    """A server that says this to one request after the other, the last to all that follow; its address."""
    left = list(answers)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
async def control():
    async with standing_in("ws://127.0.0.1:1", comes=False) as standin:
        client = Control(standin.url + "/")
        yield client
        await client.close()


async def test_a_start_gives_what_a_caller_needs_to_join(control):
    await control.open()
    started = await control.start(wait_ms=0)
    assert (started.session, started.url, started.status) == ("session_0", "ws://127.0.0.1:1", "starting")
    assert started.token
    assert started.token not in repr(started)
    assert await control.timings(started.session) == [("room", 5.0)]
    await control.stop(started.session)


async def test_a_refusal_carries_its_code_and_its_sentence(control):
    with pytest.raises(Refused, match=r"There is no such agent \(unknown_agent, HTTP 422\)") as refusal:
        await control.start(agent="nobody")
    assert (refusal.value.status, refusal.value.code) == (422, "unknown_agent")


@pytest.mark.parametrize(
    ("header", "after"),
    [(b"retry-after: 5\r\n", 5.0), (b"retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n", None), (b"", None)],
    ids=["in seconds", "at a date, which is not our form", "not said"],
)
async def test_a_refusal_carries_when_to_ask_again(header, after):
    body = b'{"success": false, "error": "No worker.", "code": "no_worker"}'
    answer = b"HTTP/1.1 503 X\r\n" + header + b"content-length: %d\r\n\r\n" % len(body) + body
    async with answering(answer) as url:
        control = Control(url)
        with pytest.raises(Refused) as refusal:
            await control.start()
        await control.close()
    assert (refusal.value.code, refusal.value.retry_after) == ("no_worker", after)


def saying(status, body, *headers):
    lines = [b"HTTP/1.1 %d X" % status, *headers, b"connection: close", b"content-length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


AWAY = saying(503, b'{"success": false, "error": "Away.", "code": "store_unavailable"}', b"retry-after: 1")


async def test_a_stop_that_may_be_asked_for_again_is():
    async with answering(AWAY, saying(200, b'{"success": true}')) as url:
        control = Control(url)
        await control.stop("session_a")
        await control.close()


async def test_but_not_for_ever():
    async with answering(AWAY) as url:
        control = Control(url)
        with pytest.raises(Refused, match="store_unavailable"):
            await control.stop("session_a", patience=0.5)
        await control.close()


async def test_where_nothing_listens_the_way_to_start_is_told():
    control = Control(f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(NotReachable, match="Is Greenroom running\\? Start it with `make up`"):
        await control.open()
    await control.close()


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "is it Greenroom"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "is it Greenroom"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "failed"),
    ],
    ids=["a web page", "another API", "no HTTP at all"],
)
async def test_what_is_not_greenroom_is_recognised(answer, complaint):
    async with answering(answer) as url:
        control = Control(url)
        with pytest.raises(ControlError, match=complaint):
            await control.start()
        await control.close()
