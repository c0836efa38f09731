"""One start without a caller, from the request to the stop: does it end up with exactly one agent; judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from bench.harness.fate import Fate
from bench.harness.overlap import Seen
from bench.harness.rooms import NoAnswer
from client.api import Control, ControlError, Refused

READY_SECONDS = 60.0
ASKING_SECONDS = 60.0  # how long a client that is told to try again goes on asking
LOOK_SECONDS = 0.3


class Agents(Protocol):
    """Who can be asked which agents publish in a room."""

    async def agents(self, room: str) -> list[str]:
        """Their identities. Raises NoAnswer."""


@dataclass
class StartFate(Fate):
    """What became of one start. Times are seconds.

    Attributes:
        around: Whether the worker was being restarted.
        at: When it was first asked for, from the beginning of the run.
        ready: From the accepted request until it was ready with exactly one agent in its room.
    """

    around: bool
    at: float
    ready: float | None = None


class _Lost(Exception):
    """The session won't have its agent any more."""


class Follower:
    """Starts a session and follows it."""

    def __init__(
        self,
        control: Control,
        rooms: Agents,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`clock` and `sleep` are the time in seconds and the wait for it to pass."""
        self._control, self._rooms, self._clock, self._sleep = control, rooms, clock, sleep

    async def follow(self, started: StartFate, hold: float) -> None:
        """Start a session, see it ready, and ready still (or again) after `hold` seconds, and stop it; fills in."""
        seen = Seen()
        try:
            accepted = await self._ask(started)
            assert started.session is not None
            await self._settled(started, seen)
            started.ready = self._clock() - accepted
            await self._held(started.session, seen, hold)
            await self._settled(started, seen)
        except (_Lost, ControlError, NoAnswer) as error:
            started.failed = str(error)
            started.refused = isinstance(error, Refused) and started.session is None
        finally:
            started.overlap = seen.overlap
            if started.session is not None:
                with contextlib.suppress(ControlError):
                    await self._control.stop(started.session)

    async def _ask(self, started: StartFate) -> float:
        """Ask until a request is accepted; when it was."""
        deadline = self._clock() + ASKING_SECONDS
        while True:
            asked = self._clock()
            try:
                answer = await self._control.start(wait_ms=0)
            except Refused as refused:
                if refused.retry_after is None or self._clock() + refused.retry_after > deadline:
                    raise
                started.refusals += 1
                await self._sleep(refused.retry_after)
                continue
            started.session, started.queued = answer.session, answer.status == "queued"
            return asked

    async def _settled(self, started: StartFate, seen: Seen) -> None:
        """Return when the session is ready with exactly one agent in its room. Raises _Lost."""
        assert started.session is not None
        deadline = self._clock() + READY_SECONDS
        while True:
            known = await self._control.session(started.session)
            there = await self._look(started.session, seen)
            started.attempt = int(known["attempt"])
            if known["status"] in ("error", "ended"):
                raise _Lost(f"{known['status']}: {known['endReason'] or known['error']}")
            if known["status"] == "ready" and len(there) == 1:
                return
            if self._clock() > deadline:
                raise _Lost(f"{known['status']} with {len(there)} agents after {READY_SECONDS:g} s")
            await self._sleep(LOOK_SECONDS)

    async def _held(self, session: str, seen: Seen, seconds: float) -> None:
        """Look who is there for a while."""
        end = self._clock() + seconds
        while self._clock() < end:
            await self._look(session, seen)
            await self._sleep(LOOK_SECONDS)

    async def _look(self, session: str, seen: Seen) -> list[str]:
        there = await self._rooms.agents(session)
        seen.look(there, self._clock())
        return there
