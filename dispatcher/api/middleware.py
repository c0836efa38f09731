"""Limits every request's body and measures every answer; app.py puts it around the routes."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dispatcher.api.errors import answer
from dispatcher.observe.metrics import Metrics

MAX_BODY_BYTES = 100 * 1024
DISCARD_BYTES = 1024 * 1024  # of a body that is too large, read for its sender's sake
DISCARD_SECONDS = 1.0


class BodyLimit:
    """Refuses a body over MAX_BODY_BYTES, whatever length was announced; reads it before the app does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 422."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        parts: list[bytes] = []
        size, more = _announced(scope), True
        while more and size <= MAX_BODY_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            size, more = sum(map(len, parts)), message.get("more_body", False)
        if size > MAX_BODY_BYTES:
            if more:
                await _discard(receive)
            refusal = answer(422, "body_too_large", f"The body is larger than {MAX_BODY_BYTES} bytes.")
            refusal.headers["Connection"] = "close"  # what was not read cannot be skipped
            await refusal(scope, receive, send)
            return
        unread = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

        async def replay() -> Message:
            return unread.pop() if unread else await receive()

        await self._app(scope, replay, send)


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
