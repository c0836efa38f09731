"""Limits every request's body and measures every answer; app.py puts it around the routes."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dispatcher.api.errors import answer
from dispatcher.observe.metrics import Metrics

MAX_BODY_BYTES = 100 * 1024
WEBHOOK_PATH = "/webhooks/livekit"
MAX_WEBHOOK_BYTES = 1024 * 1024  # LiveKit puts a participant's metadata and attributes into it, of any size
BODY_SECONDS = 30.0  # in which a body must have arrived
DISCARD_BYTES = 1024 * 1024  # of a body that is too large, read for its sender's sake
DISCARD_SECONDS = 1.0


def too_large(most: int) -> str:
    """What is said of a body of more than `most` bytes."""
    return f"The body is larger than {most} bytes."


def too_slow(seconds: float) -> str:
    """What is said of a body that was not there after so many seconds."""
    return f"The body did not arrive within {seconds:g} seconds."


class BodyLimit:
    """Refuses a body that is too large, whatever length was announced, or too slow; reads it before the app does.

    Args:
        app: what takes the request once its body is there.
        seconds: in which a body must have arrived.
    """

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 422 or 408."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        most = MAX_WEBHOOK_BYTES if scope.get("path") == WEBHOOK_PATH else MAX_BODY_BYTES
        try:
            async with asyncio.timeout(self._seconds):
                body = await _read(scope, receive, most)
        except TimeoutError:
            await _refuse(answer(408, "request_timeout", too_slow(self._seconds)), scope, receive, send)
            return
        except _TooLarge as error:
            if error.more:
                await _discard(receive)
            await _refuse(answer(422, "body_too_large", too_large(most)), scope, receive, send)
            return
        if body is None:
            return
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return unread.pop() if unread else await receive()

        await self._app(scope, replay, send)


class _TooLarge(Exception):
    """A body is too large. `more`: not all of it has been read."""

    def __init__(self, more: bool) -> None:
        super().__init__()
        self.more = more


async def _read(scope: Scope, receive: Receive, most: int) -> bytes | None:
    """The body; None: its sender went before the end of it. Raises _TooLarge beyond `most` bytes."""
    if _announced(scope) > most:
        raise _TooLarge(more=True)
    body = bytearray()  # grows in linear time, however small the pieces are
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise _TooLarge(more)
        if not more:
            return bytes(body)


async def _refuse(refusal: Response, scope: Scope, receive: Receive, send: Send) -> None:
    refusal.headers["Connection"] = "close"  # what was not read cannot be skipped
    await refusal(scope, receive, send)


class Measured:
    """Counts answers by route and status, and how long they took."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and measure it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            route = getattr(scope.get("route"), "path", None)
            self._metrics.answered(route or "other", status, time.monotonic() - began)


async def _discard(receive: Receive) -> None:
    """Read on without keeping it, for a while: a sender who is cut off in mid-body never sees the answer."""
    left = DISCARD_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _announced(scope: Scope) -> int:
    """The Content-Length, 0 where there is none that can be read."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0
