"""Lets a few calls start at a time: many at once would all be slow, and all take their share of the machine meanwhile.

The worker's parent keeps the turnstile on a Unix socket of its own; job processes wait at it, in the order of their
coming. A process that dies gives its passage back with its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from runtime.background import Background

SOCKET = "GREENROOM_TURNSTILE"  # variable with the socket's path, for the job processes
PASSAGE_SECONDS = 2.0  # the longest that a start holds it; half a second is what it takes alone on its machine
WAIT_SECONDS = 20.0  # the longest that a start waits for it
RECOVERY_SECONDS = 0.3  # the longest that a call in progress does: it must not stand behind a burst of new ones


@contextlib.asynccontextmanager
async def keep(width: int, *, passage_seconds: float = PASSAGE_SECONDS) -> AsyncIterator[str]:
    """Keep a turnstile; gives the path of its socket.

    Args:
        width: how many may start at a time. One a core is best: 20 starts on two cores were through in 7.5 s with two,
            in 8 to 9 s with one or three, and in 11 to 16 s without a turnstile (`make load ARGS="--burst 20"`).
        passage_seconds: the longest that one holds its passage.
    """
    free = asyncio.Semaphore(width)

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):  # TimeoutError is one, too
            async with free:
                writer.write(b"!")
                await writer.drain()
                await asyncio.wait_for(reader.read(), passage_seconds)

    visits = Background("turnstile")

    def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.start(visit(reader, writer), "passage")

    with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
        path = str(Path(folder) / "turnstile")
        server = await asyncio.start_unix_server(come, path)
        try:
            yield path
        finally:
            server.close()
            await visits.close()


class TurnstilePass:
    """A start's leave to go through.

    Args:
        path: of the turnstile's socket; None where there is none.
        wait_seconds: the longest that it waits.
    """

    def __init__(self, path: str | None, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._path, self._wait_seconds = path, wait_seconds
        self._writer: asyncio.StreamWriter | None = None

    async def wait(self) -> None:
        """Return when it may go through, or has waited long enough, or at once where nobody keeps a turnstile."""
        if self._path is None:
            return
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(self._wait_seconds):
                reader, self._writer = await asyncio.open_unix_connection(self._path)
                await reader.readexactly(1)

    def over(self) -> None:
        """Let the next one through."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def passage(*, recovery: bool) -> TurnstilePass:
    """What a job process passes its worker's turnstile with. `recovery`: it takes over a call in progress."""
    return TurnstilePass(os.environ.get(SOCKET), wait_seconds=RECOVERY_SECONDS if recovery else WAIT_SECONDS)
