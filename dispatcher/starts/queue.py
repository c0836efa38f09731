"""The starts that wait for a slot, the oldest first; the fast loop and each freed seat advance it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.errors import LiveKitUnavailable
from dispatcher.fleet.workers import FRESH_SECONDS, chosen, seats, serving, taking
from dispatcher.observe.failures import contained
from dispatcher.observe.session_log import log_event
from session.errors import Conflict, NoCapacity, SessionNotFound, UnreadableRecord
from session.record import ErrorReason, Session, State
from session.store.ports import SILENT_SECONDS, Store, Worker


@dataclass(frozen=True, slots=True)
class StartQueue:
    """The queue. `max_seats`: MAX_BOTS."""

    store: Store
    attempts: AttemptExecutor
    max_seats: int

    async def advance(self) -> int:
        """Let in whom a slot is free for, and send away who has waited too long; gives how many had to wait.

        Raises:
            StoreUnavailable: the next call goes on.
        """
        waiting = await self.store.queue()
        if not waiting:
            return 0
        workers = await self.store.workers(seen_within=SILENT_SECONDS)
        for session_id in waiting:
            with suppress(SessionNotFound, Conflict, UnreadableRecord), contained("queue"):
                if not await self._advance_one(session_id, workers):
                    break
        return len(waiting)

    async def _advance_one(self, session_id: str, workers: Sequence[Worker]) -> bool:
        """One of them; gives whether the next may be looked at: not once every seat is taken."""
        session, now = await self.store.get_with_time(session_id)
        if session.state is not State.QUEUED:
            return True
        alive = serving(taking(workers, now), session.agent)
        if session.deadline is not None and session.deadline <= now:
            await self.attempts.give_up(session, ErrorReason.NO_CAPACITY if alive else ErrorReason.NO_WORKER)
            return True
        free = [each for each in alive if each.active < each.slots and now - each.seen_at <= FRESH_SECONDS]
        if not free:
            return True  # perhaps another agent's workers have room
        most = min(self.max_seats, seats(workers, now))
        try:
            after = await self.attempts.begin(session, chosen(free).deployment, now, max_seats=most)
        except NoCapacity:
            return False
        except LiveKitUnavailable:
            return False  # it has its seat; its deadline passes, and it is tried again
        await log_event(self.store, session.id, "left_the_queue", waited_ms=_waited_ms(after, now))
        return True


def _waited_ms(session: Session, now: float) -> int:
    return round((now - session.created_at) * 1000)
