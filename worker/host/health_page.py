"""The worker's health page, for load balancers and supervisors: /healthz and /readyz; run.py serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from session.store.ports import SILENT_SECONDS, Worker


class PortTaken(Exception):
    """The page's port is not to be had; the message says which, and what to set."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How the worker is. `beat_age`: seconds since the store took its last heartbeat; `known`: LiveKit knows it."""

    worker: Worker
    known: bool
    beat_age: float


def why_not_ready(condition: Condition) -> str:
    """Why no call should be expected to come here, as a sentence; "" where the worker is ready."""
    worker = condition.worker
    if worker.draining or worker.left:
        return "it drains"
    if not condition.known:
        return "LiveKit doesn't know it"
    if worker.idle + worker.active < 1:
        return "no process is warm or has a call"
    if condition.beat_age >= SILENT_SECONDS:
        return f"the store has taken no heartbeat for {condition.beat_age:.0f} s"
    return ""


class HealthPage:
    """What the page shows. `condition`: how the worker is now; None while it starts."""

    def __init__(self) -> None:
        self.condition: Callable[[], Condition] | None = None

    async def alive(self, _: web.Request) -> web.Response:
        """The process answers."""
        return web.Response(text="OK")

    async def ready(self, _: web.Request) -> web.Response:
        """Calls may come; 503 with the reason where they should not."""
        why = "it starts" if self.condition is None else why_not_ready(self.condition())
        return web.Response(status=503, text=f"not ready: {why}") if why else web.Response(text="OK")


@asynccontextmanager
async def health_page(host: str, port: int) -> AsyncIterator[HealthPage]:
    """Answer as long as the block lasts.

    Args:
        host: address to listen on.
        port: port to listen on; 0 chooses a free one.

    Raises:
        PortTaken: somebody else listens there.
    """
    page, app = HealthPage(), web.Application()
    app.add_routes([web.get("/healthz", page.alive), web.get("/readyz", page.ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PortTaken(
                f"{host}:{port} cannot be listened on ({error.strerror}): set GREENROOM_WORKER_PORT"
            ) from None
        yield page
    finally:
        await runner.cleanup()
