"""Closes connections whose request does not arrive in time; dispatcher/__main__.py gives it to uvicorn."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_SECONDS = 30.0  # for a request's line and headers to arrive, from the connection or from their first byte


class PunctualProtocol(H11Protocol):
    """HTTP whose callers must send their headers within `headers_seconds`; uvicorn itself waits for ever.

    The body's time is limited by api/middleware.py, and the time between two requests by uvicorn.
    """

    headers_seconds = HEADERS_SECONDS
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._late = self.loop.call_later(self.headers_seconds, transport.close)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the headers, or no longer."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._no_longer_late()
        elif self._late is None:
            self._late = self.loop.call_later(self.headers_seconds, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._no_longer_late()
        super().connection_lost(exc)

    def _no_longer_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
