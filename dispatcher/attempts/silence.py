"""Which agents are lost because they and their worker have fallen silent; the fast loop asks twice a second."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from dispatcher.ending import Ending
from dispatcher.observe.failures import contained
from session.errors import Conflict, SessionNotFound, Stale, UnreadableRecord
from session.record import Session
from session.store.ports import SILENT_SECONDS, Store, Worker

SEEN_SECONDS = 60.0  # workers that were heard of within so long are held against the silent agents
JUST_SILENT_SECONDS = 4.0  # after SILENT_SECONDS, in which workers count as having fallen silent together
MOST_SILENT = 0.3  # of all workers; more than that and more than one at once is the store's fault or the network's

_log = logging.getLogger("dispatcher")


def fell_silent(workers: Sequence[Worker], now: float) -> bool:
    """Whether so many workers fell silent at once that it cannot be their own fault.

    Args:
        workers: those seen within the last minute.
        now: Unix seconds.
    """
    here = [each for each in workers if not each.left]
    just = [each for each in here if SILENT_SECONDS <= now - each.seen_at <= SILENT_SECONDS + JUST_SILENT_SECONDS]
    return len(just) > max(1.0, MOST_SILENT * len(here))


def lives(worker_id: str | None, workers: Sequence[Worker], now: float) -> bool:
    """Whether this worker reports deaths by itself: it was heard of within SILENT_SECONDS and has not left."""
    return any(each.id == worker_id and not each.left and now - each.seen_at < SILENT_SECONDS for each in workers)


@dataclass(frozen=True, slots=True)
class Silence:
    """Judges the silent. `ending`: writes the losses."""

    store: Store
    ending: Ending

    async def judge(self) -> None:
        """Write down that the agents are lost whose worker is silent as well. Raises StoreUnavailable."""
        # Sessions are read before workers: a worker that has just come is not missed as that of a new agent.
        silent = await self._silent()
        if not silent:
            return
        workers = await self.store.workers(seen_within=SEEN_SECONDS)
        now = await self.store.now()
        if fell_silent(workers, now):
            _log.warning("event=too_many_silent workers=%d", len(workers))
            return
        for session in silent:
            if session.job is not None and not lives(session.worker, workers, now):
                with suppress(SessionNotFound, Stale, Conflict), contained("silence"):
                    await self.ending.lose(session.id, session.job, "agent_silent")

    async def _silent(self) -> list[Session]:
        silent = []
        for session_id in await self.store.silent(SILENT_SECONDS):
            with suppress(SessionNotFound, UnreadableRecord):
                silent.append(await self.store.get(session_id))
        return silent
