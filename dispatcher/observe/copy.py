"""How the system is, asked of the store and LiveKit at most once a second, whoever asks; api/health.py shows it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from dispatcher.errors import LiveKitUnavailable
from dispatcher.livekit.port import Rooms
from session.errors import SessionError, StoreUnavailable
from session.provider_circuits import PREFIX
from session.record import State
from session.store.ports import SILENT_SECONDS, Stats, Store, Worker

COPY_SECONDS = 1.0  # anybody may ask for health, as often as they like: LiveKit Cloud counts its requests
PING_SECONDS = 0.8  # for LiveKit's answer


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store says. `now`: its clock, Unix seconds; `clock`: ours then; `circuits`: of those left alone."""

    now: float
    clock: float
    counts: Mapping[State, int]
    workers: Sequence[Worker]
    stats: Stats
    circuits: Collection[str]


@dataclass(frozen=True, slots=True)
class Look:
    """How it is. `facts`: None while the store is away; `away`: what cannot be reached, the store first."""

    facts: Facts | None
    away: SessionError | None


class Copy:
    """What is shown of the system, at most so old.

    Args:
        store: asked for everything but LiveKit.
        rooms: asked whether LiveKit answers.
        seconds: how old the copy may be.
        clock: ours, Unix seconds.
    """

    def __init__(
        self, store: Store, rooms: Rooms, *, seconds: float = COPY_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._store, self._rooms, self._seconds, self._clock = store, rooms, seconds, clock
        self._look = Look(None, None)
        self._looked_at = -math.inf
        self._looking = asyncio.Lock()

    async def look(self) -> Look:
        """How it is; who asks while somebody looks gets what they find."""
        async with self._looking:
            now = self._clock()
            if abs(now - self._looked_at) >= self._seconds:  # the clock may have been put back
                self._look = await self._fresh(now)
                self._looked_at = now
            return self._look

    async def _fresh(self, clock: float) -> Look:
        facts, livekit = await asyncio.gather(
            self._facts(clock), self._rooms.ping(timeout=PING_SECONDS), return_exceptions=True
        )
        for found in (facts, livekit):
            if isinstance(found, BaseException) and not isinstance(found, StoreUnavailable | LiveKitUnavailable):
                raise found
        away = next((found for found in (facts, livekit) if isinstance(found, SessionError)), None)
        return Look(facts if isinstance(facts, Facts) else None, away)

    async def _facts(self, clock: float) -> Facts:
        now, counts, workers, stats, circuits = await asyncio.gather(
            self._store.now(),
            self._store.counts(),
            self._store.workers(seen_within=SILENT_SECONDS),
            self._store.stats(),
            self._store.open_circuits(PREFIX),
        )
        left_alone = [name for name, wait in circuits.items() if wait > 0]  # others are tried by the next call
        return Facts(now, clock, counts, workers, stats, left_alone)
