"""Every two seconds: ends sessions whose time is up, and makes records and rooms fit together again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dispatcher.attempts.ghosts import Ghosts
from dispatcher.ending import Ending, Reason
from dispatcher.errors import LiveKitUnavailable
from dispatcher.livekit.participants import is_caller
from dispatcher.livekit.port import OpenRoom, Rooms
from dispatcher.observe.failures import contained
from dispatcher.observe.metrics import Metrics
from dispatcher.observe.session_log import log_event
from dispatcher.starts.reservations import Reservations
from dispatcher.upkeep.expiry import Expired, verdict
from dispatcher.upkeep.reconcile import CallerIs, Lose, Repair, SendOutGhosts, absent, repairs, worth_a_look
from dispatcher.upkeep.webhooks import session_of, with_caller
from session.errors import Conflict, NoCapacity, SessionError, SessionNotFound, UnreadableRecord
from session.fence import adopted_session_id, caller_identity, requested_agent
from session.record import FINAL, LIVE, CallerPresence, Session, State
from session.settings import CallLimits
from session.store.ports import Store, update

PAGE = 200  # sessions read at once
LOOKS_AT_ONCE = 50  # rooms that are looked into in one sweep; the next sweep goes on
GOODBYE_SECONDS = 5.0  # after the end, for the agent to leave by itself
STRAY_SECONDS = 120.0  # in which a room that nobody records must be seen twice before it is closed
FOREIGN_SECONDS = 5.0  # after which an agent that somebody else's room asked for should have come


@dataclass
class SlowLoop:
    """One look at everything. `secret`: LiveKit's API secret, from which the ids of adopted sessions are made."""

    store: Store
    rooms: Rooms
    ending: Ending
    limits: CallLimits
    metrics: Metrics
    secret: str
    reservations: Reservations
    max_seats: int = 0
    ghosts: Ghosts = field(init=False)
    _turn: int = 0
    _absent_since: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ghosts = Ghosts(self.rooms, self.metrics)

    async def run(self) -> None:
        """End sessions whose time is up, then make the rest fit together; done twice, it does nothing more.

        Raises:
            StoreUnavailable: the next run goes on.
        """
        now, waiting = await asyncio.gather(self.store.now(), self.store.queue())
        crowded = bool(waiting)
        live: list[Session] = []
        async for session in self._live():
            # What is not done here is seen again by the next run.
            with suppress(Conflict, SessionNotFound, LiveKitUnavailable), contained("slow loop"):
                due = verdict(session, self.limits, now, crowded=crowded)
                if due is None:
                    live.append(session)
                else:
                    await self._end(session, due, crowded=crowded)
        mended = await self.store.mend_seats()
        if mended:
            self.metrics.repaired("seat", mended)
        with suppress(LiveKitUnavailable):
            opened = await self.rooms.open_rooms()
            await self._reconcile(live, {room.name: room for room in opened}, now)
            for room in opened:
                with suppress(UnreadableRecord, NoCapacity, Conflict), contained("slow loop"):
                    await self._judge_room(room, now)

    async def _live(self) -> AsyncIterator[Session]:
        cursor = None
        while True:
            page = await self.store.page(LIVE, limit=PAGE, cursor=cursor)
            for session in page.sessions:
                yield session
            if page.cursor is None:
                return
            cursor = page.cursor

    async def _end(self, session: Session, due: Expired, *, crowded: bool) -> None:
        """End the session; a caller that is there after all is written down instead."""
        if due.absent and any(is_caller(session, each) for each in await self.rooms.participants(session.room)):
            await update(self.store, session.id, lambda each, now: with_caller(each, CallerPresence.PRESENT, now))
            return

        def judge(each: Session, now: float) -> Reason | None:
            return due.reason if verdict(each, self.limits, now, crowded=crowded) == due else None

        await self.ending.end(session.id, judge, by="sweep")

    async def _reconcile(self, live: Sequence[Session], rooms: Mapping[str, OpenRoom], now: float) -> None:
        """Hold records and rooms against each other."""
        self._turn += 1
        chosen = worth_a_look(live, rooms, self._absent_since, turn=self._turn, now=now)
        first = self._turn * LOOKS_AT_ONCE % max(1, len(chosen))
        looked_at = [*chosen[first:], *chosen[:first]][:LOOKS_AT_ONCE]
        found = await asyncio.gather(*(self.rooms.participants(each.room) for each in looked_at))
        people = {session.room: there for session, there in zip(looked_at, found, strict=True)}
        self._absent_since = absent(live, rooms, people, self._absent_since, now)
        for repair in repairs(live, rooms, people, self._absent_since, now):
            with suppress(SessionError), contained("slow loop"):  # the next run sees it again
                await self._apply(repair)

    async def _apply(self, repair: Repair) -> None:
        match repair:
            case SendOutGhosts(session):
                self.ghosts.send_out(session)
            case Lose(session_id, job):
                await self.ending.lose(session_id, job, "agent_missing")
                self.metrics.repaired("agent")
            case CallerIs(session_id, caller):
                await update(self.store, session_id, lambda each, now: with_caller(each, caller, now))
                await log_event(self.store, session_id, "caller", caller=str(caller), by="sweep")

    async def _judge_room(self, room: OpenRoom, now: float) -> None:
        """Close the room of a session that is over or that nobody records; take up one that waits for us in vain."""
        session = await session_of(self.store, self.secret, room)
        if session is None:
            await (self._stray(room) if room.name.startswith("session_") else self._foreign(room, now))
        elif session.state in FINAL and session.ended_at is not None and now - session.ended_at >= GOODBYE_SECONDS:
            await self.rooms.delete(room.name)
            await log_event(self.store, session.id, "room_closed")

    async def _stray(self, room: OpenRoom) -> None:
        """A room of ours without a record: it becomes the session that its token promised, if it was made by one.

        If not, it is closed when it is seen for the second time. A room of another deployment on the same server looks
        like ours, but asks for another name's agents.
        """
        asked = await self.rooms.asked_for(room.name)
        if not asked:
            return
        with suppress(SessionNotFound):  # it is over: its token was used again
            session = await self.reservations.take_up(room.name, asked, by="sweep")
            if session is not None:
                self.metrics.repaired("reservation")
                with suppress(LiveKitUnavailable):  # its page is told when it has an agent, or why it gets none
                    await self._tell_the_page(session)
                return
        if not await self.store.first_time(f"stray:{room.sid}", seconds=STRAY_SECONDS):
            await self.rooms.delete(room.name)
            self.metrics.repaired("room")

    async def _tell_the_page(self, session: Session) -> None:
        """That it waits in the queue: no webhook of its caller's join has come. Raises LiveKitUnavailable."""
        if session.state is State.QUEUED:
            await self.rooms.set_caller_state(session.room, caller_identity(session.id), session.state)

    async def _foreign(self, room: OpenRoom, now: float) -> None:
        """Somebody else's room: where it asked for an agent of ours and none came, it becomes a session that is due."""
        waits = room.people > 0 and now - room.made_at >= FOREIGN_SECONDS
        if not waits or not await self.store.first_time(f"foreign:{room.sid}", seconds=STRAY_SECONDS):
            return
        asked = await self.rooms.asked_for(room.name)
        if not asked:
            return
        session = Session(
            id=adopted_session_id(self.secret, room.sid),
            room=room.name,
            state=State.STARTING,
            created_at=now,
            since=now,
            last_active=now,
            agent=requested_agent(asked[0]) or "default",
            attempt=1,
            claimable=False,
            progress_at=now,
            deadline=now,
            adopted=True,
            caller=CallerPresence.PRESENT,
            caller_since=now,
        )
        await self.store.start(session, max_seats=self.max_seats, op=f"adopt-{session.id}")
        await log_event(self.store, session.id, "adopted", level="warning")
        self.metrics.repaired("adopted")
