"""Which agents are lost because they and their worker have fallen silent; the fast loop asks twice a second.

Who has lost only the store still talks to its caller: before an agent counts as lost, it is asked through LiveKit.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dispatcher.ending import Ending
from dispatcher.livekit.port import Rooms
from dispatcher.observe.failures import contained
from runtime.background import Background
from session.errors import Conflict, SessionNotFound, Stale, UnreadableRecord
from session.fence import agent_identity
from session.record import Session
from session.store.ports import SILENT_SECONDS, Store, Worker

SEEN_SECONDS = 60.0  # workers that were heard of within so long are held against the silent agents
JUST_SILENT_SECONDS = 4.0  # after SILENT_SECONDS, in which workers count as having fallen silent together
ASK_SECONDS = 0.8  # for a silent agent to answer through LiveKit; it takes some 10 ms
BELIEVED_SECONDS = 2.0  # for which an answer counts, before it is asked again
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


def lives(worker_id: str | None, workers: Sequence[Worker], now: float, *, within: float = SILENT_SECONDS) -> bool:
    """Whether this worker reports deaths by itself: it was heard of `within` so many seconds and has not left."""
    return any(each.id == worker_id and not each.left and now - each.seen_at < within for each in workers)


@dataclass
class Silence:
    """Judges the silent.

    Args:
        store: who is silent.
        ending: writes the losses.
        rooms: LiveKit, through which an agent is asked.
        clock: seconds.
    """

    store: Store
    ending: Ending
    rooms: Rooms
    clock: Callable[[], float] = time.monotonic
    _answers: dict[str, float] = field(default_factory=dict)  # by job, when its agent answered
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _tasks: Background = field(default_factory=lambda: Background("dispatcher"))

    async def judge(self) -> None:
        """Write down that the agents are lost whose worker is silent as well, and who don't answer through LiveKit.

        Raises:
            StoreUnavailable: nothing is concluded.
        """
        # Sessions are read before workers: a worker that has just come is not missed as that of a new agent.
        over = set(await self.store.silent(SILENT_SECONDS))
        silent = await self._sessions(await self.store.silent(SILENT_SECONDS - ASK_SECONDS))
        jobs = {each.job for each in silent}
        self._answers = {job: at for job, at in self._answers.items() if job in jobs}
        if not silent:
            return
        workers = await self.store.workers(seen_within=SEEN_SECONDS)
        now = await self.store.now()
        if fell_silent(workers, now):
            _log.warning("event=too_many_silent workers=%d", len(workers))
            return
        # An agent is asked before its time is up, so that one that is gone is replaced no later for that.
        silent = [each for each in silent if not lives(each.worker, workers, now, within=SILENT_SECONDS - ASK_SECONDS)]
        self._ask(silent)
        lost = [each for each in silent if each.id in over and not lives(each.worker, workers, now)]
        await asyncio.gather(*(self._lose(each) for each in lost))

    def _ask(self, sessions: Sequence[Session]) -> None:
        for session in sessions:
            job = session.job
            if (
                job is None
                or job in self._asking
                or self.clock() - self._answers.get(job, -math.inf) < BELIEVED_SECONDS
            ):
                continue
            self._asking[job] = self._tasks.start(self._ask_one(session, job), "ask a silent agent")

    async def _ask_one(self, session: Session, job: str) -> None:
        identity = agent_identity(session.id, session.attempt)
        try:
            if await self.rooms.answers(session.room, identity, timeout=ASK_SECONDS):
                if job not in self._answers:
                    _log.warning("session=%s event=agent_has_no_store kept=it_answers", session.id)
                self._answers[job] = self.clock()
        finally:
            del self._asking[job]

    async def _lose(self, session: Session) -> None:
        job = session.job
        if job is None:
            return
        if (asking := self._asking.get(job)) is not None:
            await asyncio.wait({asking})
        if self.clock() - self._answers.get(job, -math.inf) < BELIEVED_SECONDS + ASK_SECONDS:
            return
        with suppress(SessionNotFound, Stale, Conflict), contained("silence"):
            await self.ending.lose(session.id, job, "agent_silent")

    async def _sessions(self, ids: Sequence[str]) -> list[Session]:
        found = []
        for session_id in ids:
            with suppress(SessionNotFound, UnreadableRecord):
                found.append(await self.store.get(session_id))
        return found
