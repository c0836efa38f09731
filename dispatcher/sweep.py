"""Ends what is due and closes rooms that outlived their session; knows the rules by expiry.py, and no timer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from dispatcher.errors import LiveKitUnavailable
from dispatcher.expiry import Verdict, verdict
from dispatcher.hints import is_caller, session_of, with_caller
from dispatcher.metrics import Metrics
from dispatcher.notes import note
from dispatcher.ports import Rooms
from session.errors import Conflict, SessionNotFound, UnreadableRecord
from session.model import FINAL, LIVE, Caller, Session
from session.settings import CallLimits
from session.store import SessionStore, update

PAGE = 200  # sessions read at once
GOODBYE_SECONDS = 5.0  # after the end, for the agent to leave by itself


@dataclass(frozen=True, slots=True)
class Sweep:
    """One look at everything. `secret`: LiveKit's API secret, from which the ids of adopted sessions are made."""

    store: SessionStore
    rooms: Rooms
    limits: CallLimits
    metrics: Metrics
    secret: str

    async def run(self) -> None:
        """End sessions whose time is up, then close the rooms of ended ones; done twice, it does nothing more.

        Raises:
            StoreUnavailable: the next run goes on.
        """
        now = await self.store.now()
        async for session in self._live():
            due = verdict(session, self.limits, now)
            if due is not None:
                with suppress(Conflict, SessionNotFound, LiveKitUnavailable):  # the next run sees it again
                    await self._end(session, due)
        with suppress(LiveKitUnavailable):
            await self._close_rooms(now)

    async def _live(self) -> AsyncIterator[Session]:
        cursor = None
        while True:
            page = await self.store.page(LIVE, limit=PAGE, cursor=cursor)
            for session in page.sessions:
                yield session
            if page.cursor is None:
                return
            cursor = page.cursor

    async def _end(self, session: Session, due: Verdict) -> None:
        """Write the end, then close the room; a caller who is there after all is written down instead."""
        if due.absent and any(is_caller(session, each) for each in await self.rooms.participants(session.room)):
            await update(self.store, session.id, lambda each, now: with_caller(each, Caller.PRESENT, now))
            return

        def judged(each: Session, now: float) -> Session:
            return due.applied(each, now) if verdict(each, self.limits, now) == due else each

        after = await update(self.store, session.id, judged)
        if after.state not in FINAL:
            return
        self.metrics.ended(after)
        await note(self.store, after.id, "ended", reason=str(after.end_reason or after.error), by="sweep")
        await self.rooms.delete(after.room)

    async def _close_rooms(self, now: float) -> None:
        """Close the rooms of sessions that ended a while ago: LiveKit was away, or an agent did not leave."""
        for room in await self.rooms.open_rooms():
            with suppress(UnreadableRecord):
                session = await session_of(self.store, self.secret, room)
                if session is None or session.state not in FINAL or session.ended_at is None:
                    continue
                if now - session.ended_at >= GOODBYE_SECONDS:
                    await self.rooms.delete(room.name)
                    await note(self.store, session.id, "room_closed")
