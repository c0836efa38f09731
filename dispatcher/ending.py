"""The one way in which the dispatcher ends a session, and the one in which it writes down a lost agent.

The API, the attempts, both loops and the webhooks end sessions; agents write their own ends. Whoever wrote an end, the
store appends the record to the stream of ended sessions: what follows from each end is done there (upkeep/ended.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from dispatcher.errors import LiveKitUnavailable
from dispatcher.livekit.port import Rooms
from dispatcher.observe.session_log import log_event
from session.fence import caller_identity
from session.record import FINAL, CallerPresence, EndReason, ErrorReason, Session, ended, failed, lost
from session.store.ports import SessionStore, update

TELL_SECONDS = 0.5  # for LiveKit to pass the reason on; it takes some milliseconds where the caller is there

Reason = EndReason | ErrorReason
Judge = Callable[[Session, float], Reason | None]


def over(session: Session, reason: Reason, now: float) -> Session:
    """The session, over for this reason at `now` (Unix seconds); one that is over stays as it is."""
    return ended(session, reason, now) if isinstance(reason, EndReason) else failed(session, reason, now)


@dataclass(frozen=True, slots=True)
class Ending:
    """Writes ends and losses."""

    store: SessionStore
    rooms: Rooms

    async def end(self, session_id: str, judge: Judge, *, by: str) -> Session:
        """End a session and close its room; a session that is over stays as it is, and its room is closed again.

        Args:
            session_id: which session.
            judge: gets the session as it is now and the store's time; gives the reason, or None for no end after all.
            by: who ends it, for the session's log.

        Returns:
            The session as it stands.

        Raises:
            SessionNotFound, Conflict, StoreUnavailable: nothing is written.
        """
        written = False

        def change(session: Session, now: float) -> Session:
            nonlocal written
            reason = None if session.state in FINAL else judge(session, now)
            written = reason is not None
            return session if reason is None else over(session, reason, now)

        session = await update(self.store, session_id, change)
        if written:
            level = "error" if session.error is not None else "info"
            reason = str(session.end_reason or session.error)
            await log_event(self.store, session_id, "ended", level=level, reason=reason, by=by, attempt=session.attempt)
        if written and session.error is not None:
            await self._tell_the_page(session, session.error)
        if session.state in FINAL:
            with suppress(LiveKitUnavailable):  # the slow loop closes it then
                await self.rooms.delete(session.room)
        return session

    async def _tell_the_page(self, session: Session, reason: ErrorReason) -> None:
        """Why it ends, before its room is closed: no agent is there that could say it."""
        if session.caller is CallerPresence.PRESENT and not session.adopted:
            with suppress(LiveKitUnavailable, TimeoutError):  # GET /api/session/{id} has the reason, too
                async with asyncio.timeout(TELL_SECONDS):
                    await self.rooms.set_caller_state(session.room, caller_identity(session.id), reason)

    async def lose(self, session_id: str, job: str, event: str) -> Session:
        """Write down that a session has lost its agent: the next attempt is due at once.

        Args:
            session_id: which session.
            job: the agent's; another agent's is not lost.
            event: how it was noticed, for the session's log.

        Raises:
            Stale: the session counts on another job, or is over.
            SessionNotFound, Conflict, StoreUnavailable: nothing is written.
        """
        session = await update(self.store, session_id, lambda each, now: lost(each, job=job, now=now))
        await log_event(self.store, session_id, event, level="error", attempt=session.attempt)
        return session
