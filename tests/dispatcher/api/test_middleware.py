import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from dispatcher.api.middleware import (
    DISCARD_BYTES,
    DISCARD_SECONDS,
    MAX_BODY_BYTES,
    MAX_WEBHOOK_BYTES,
    WEBHOOK_PATH,
    BodyLimit,
    Measured,
)
from dispatcher.observe.metrics import Metrics


def _app() -> FastAPI:
    app = FastAPI()

    @app.api_route("/echo/{name}", methods=["GET", "POST"])
    async def echo(name: str, request: Request) -> int:
        return len(await request.body())

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError

    return app


def _client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


async def _pieces(size: int) -> AsyncIterator[bytes]:
    """A body whose length is not announced."""
    for start in range(0, size, 4096):
        yield b"x" * min(4096, size - start)


@pytest.mark.anyio
@pytest.mark.parametrize("announced", [True, False], ids=["of announced length", "in pieces of unknown number"])
@pytest.mark.parametrize("size", [0, 5000, MAX_BODY_BYTES])
async def test_a_body_within_the_limit_arrives_whole(announced: bool, size: int) -> None:
    async with _client(BodyLimit(_app())) as client:
        response = await client.post("/echo/a", content=b"x" * size if announced else _pieces(size))
    assert (response.status_code, response.json()) == (200, size)


@pytest.mark.anyio
@pytest.mark.parametrize("announced", [True, False], ids=["of announced length", "in pieces of unknown number"])
async def test_a_body_over_the_limit_is_refused_in_our_shape(announced: bool) -> None:
    size = MAX_BODY_BYTES + 1
    async with _client(BodyLimit(_app())) as client:
        response = await client.post("/echo/a", content=b"x" * size if announced else _pieces(size))
    assert response.status_code == 422
    assert response.json()["code"] == "body_too_large"
    assert response.json()["success"] is False
    assert response.headers["Connection"] == "close"


class Caller:
    """The other end of one request: what it sends, how often it was asked for more, what it got."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)
        self.asked = 0
        self.got: list[Message] = []

    async def receive(self) -> Message:
        self.asked += 1
        return self._messages.pop(0) if self._messages else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.got.append(message)

    async def reaches(self, app: BodyLimit, **scope: Any) -> None:
        await app({"type": "http", "method": "POST", "headers": [], **scope}, self.receive, self.send)


class Inner:
    """An app that only notes that it was reached."""

    def __init__(self) -> None:
        self.reached = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached = True


PIECE_BYTES = 50_000
ENDLESS = [{"type": "http.request", "body": b"x" * PIECE_BYTES, "more_body": True}] * 1000


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="its length is not announced"),
        pytest.param([(b"content-length", b"10")], id="its length is a lie"),
        pytest.param([(b"content-length", b"5000000")], id="its length says so"),
        pytest.param([(b"content-length", b"9" * 9999)], id="its length is absurd"),
        pytest.param([(b"content-length", b"-1")], id="its length is no number"),
    ],
)
async def test_a_body_without_end_is_read_for_a_while_only(headers: list[tuple[bytes, bytes]]) -> None:
    inner, caller = Inner(), Caller(*ENDLESS)
    await caller.reaches(BodyLimit(inner), headers=headers)
    assert caller.asked * PIECE_BYTES <= MAX_BODY_BYTES + DISCARD_BYTES + 2 * PIECE_BYTES
    assert caller.got[0]["status"] == 422
    assert not inner.reached


class Stalled(Caller):
    """Announces a body and never sends it."""

    async def receive(self) -> Message:
        await anyio.sleep_forever()
        raise AssertionError


@pytest.mark.anyio
async def test_a_caller_who_does_not_send_what_is_too_large_is_answered_all_the_same() -> None:
    inner, caller, began = Inner(), Stalled(), time.monotonic()
    with anyio.fail_after(10 * DISCARD_SECONDS):
        await caller.reaches(BodyLimit(inner), headers=[(b"content-length", b"5000000")])
    assert time.monotonic() - began < 3 * DISCARD_SECONDS
    assert caller.got[0]["status"] == 422
    assert not inner.reached


@pytest.mark.anyio
async def test_a_body_that_does_not_arrive_in_time_is_refused() -> None:
    inner, caller = Inner(), Stalled()
    await caller.reaches(BodyLimit(inner, seconds=0.1), headers=[(b"content-length", b"500")])
    assert caller.got[0]["status"] == 408
    assert b"request_timeout" in caller.got[1]["body"]
    assert (b"connection", b"close") in caller.got[0]["headers"]
    assert not inner.reached


class Trickling(Caller):
    """Sends a body of so many bytes in pieces of one."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self._left = pieces

    async def receive(self) -> Message:
        self._left -= 1
        return {"type": "http.request", "body": b"x", "more_body": self._left > 0}


@pytest.mark.anyio
async def test_a_body_in_the_smallest_pieces_is_read_in_linear_time() -> None:
    async def seconds(pieces: int) -> float:
        inner, caller, began = Inner(), Trickling(pieces), time.process_time()
        await caller.reaches(BodyLimit(inner))
        assert inner.reached
        return time.process_time() - began

    once = min([await seconds(10_000) for _ in range(3)])
    assert await seconds(80_000) < 24 * once  # eight times as many: 64 times the time if each looked at all before it


@pytest.mark.anyio
@pytest.mark.parametrize(("size", "status"), [(MAX_WEBHOOK_BYTES, None), (MAX_WEBHOOK_BYTES + 1, 422)])
async def test_a_webhook_may_be_larger(size: int, status: int | None) -> None:
    inner, caller = Inner(), Caller({"type": "http.request", "body": b"x" * size})
    await caller.reaches(BodyLimit(inner), path=WEBHOOK_PATH)
    assert inner.reached == (status is None)
    assert [each["status"] for each in caller.got[:1]] == ([] if status is None else [status])


@pytest.mark.anyio
async def test_a_caller_who_goes_before_the_end_of_the_body_starts_nothing() -> None:
    inner, caller = Inner(), Caller({"type": "http.request", "body": b"{", "more_body": True})
    await caller.reaches(BodyLimit(inner))
    assert not inner.reached
    assert caller.got == []


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_request_without_a_body_is_not_read(method: str) -> None:
    inner, caller = Inner(), Caller()
    await caller.reaches(BodyLimit(inner), method=method)
    assert inner.reached
    assert caller.asked == 0


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_what_is_no_request_passes_both(kind: str) -> None:
    inner, registry = Inner(), CollectorRegistry()
    caller = Caller()
    await Measured(BodyLimit(inner), Metrics(registry))({"type": kind}, caller.receive, caller.send)
    assert inner.reached
    assert registry.get_sample_value("greenroom_http_request_seconds_count", {"route": "other"}) is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        pytest.param("/echo/a", "/echo/{name}", "2xx", id="an answer is counted by its route, not by its address"),
        pytest.param("/nothing/here", "other", "4xx", id="what has no route is counted together"),
        pytest.param("/fails", "/fails", "5xx", id="a failure is counted too"),
    ],
)
async def test_a_request_is_measured(path: str, route: str, status: str) -> None:
    registry = CollectorRegistry()
    async with _client(Measured(_app(), Metrics(registry))) as client:
        await client.get(path)
    labels = {"route": route, "status": status}
    assert registry.get_sample_value("greenroom_http_requests_total", labels) == 1
    assert registry.get_sample_value("greenroom_http_request_seconds_count", {"route": route}) == 1
