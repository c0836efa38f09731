"""Gets each session its one agent, and another when that one is lost; loops, timers and the queue call it."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from dispatcher.attempts.ghosts import Ghosts
from dispatcher.attempts.policy import LOOK_AGAIN_SECONDS, Facts, GiveUp, Redispatch, Wait, verdict
from dispatcher.ending import Ending, Reason
from dispatcher.errors import LiveKitUnavailable
from dispatcher.fleet.workers import serving
from dispatcher.livekit.port import Rooms
from dispatcher.observe.metrics import Metrics
from dispatcher.observe.session_log import log_event
from dispatcher.starts.circuit import StartCircuit
from session.errors import Conflict, NoCapacity, SessionNotFound, UnreadableRecord
from session.record import (
    BACK_SECONDS,
    AttemptStep,
    CallerPresence,
    EndReason,
    ErrorReason,
    Session,
    State,
    dispatched,
    lost,
    step,
)
from session.store.ports import SILENT_SECONDS, Store, update

AWAITED = frozenset({State.RESERVED, State.STARTING, State.RECOVERING})  # these wait for an agent
PING_SECONDS = 1.0  # for LiveKit to answer; it takes a millisecond
SERVER_SECONDS = 30.0  # for which livekit-server may be away before a session that needs it ends
ROOM_BACK_SECONDS = SERVER_SECONDS + 15.0  # for it, and then the caller, to come back to a room that went with it
ROOM_GONE: Mapping[CallerPresence, ErrorReason | EndReason] = {
    CallerPresence.ABSENT: EndReason.NOT_JOINED,
    CallerPresence.AWAY: EndReason.CALLER_LEFT,
    CallerPresence.PRESENT: ErrorReason.SERVER_LOST,
}


class Timers(Protocol):
    """Sees to a session later."""

    def at(self, session: Session, seconds: float) -> None:
        """See to it in so many seconds; returns at once and never raises, since the look finds what no timer did."""


class NoTimers:
    """No timers: the look alone."""

    def at(self, session: Session, seconds: float) -> None:
        """Nothing."""


@dataclass
class AttemptExecutor:
    """The attempts of all sessions.

    Args:
        store: sessions, workers and deadlines.
        rooms: LiveKit.
        metrics: where to count.
        circuit: told of starts that succeed.
        ending: ends those that come to nothing.
        max_seats: MAX_BOTS.
        claim_seconds: how long a worker may take to accept.
        timers: who calls `handle_due` when a deadline passes.
        chance: 0 to 1, for jitter.
    """

    store: Store
    rooms: Rooms
    metrics: Metrics
    circuit: StartCircuit
    ending: Ending
    max_seats: int
    claim_seconds: float = 2.0
    timers: Timers = field(default_factory=NoTimers)
    chance: Callable[[], float] = random.random
    ghosts: Ghosts = field(init=False)
    _deciding: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.ghosts = Ghosts(self.rooms, self.metrics)

    async def handle_due(self, session_id: str) -> None:
        """Do what is due for this session, if anything is. Raises StoreUnavailable."""
        try:
            session, now = await self.store.get_with_time(session_id)
        except (SessionNotFound, UnreadableRecord):
            return
        waiting, cut_off = session.state in AWAITED, session.state is State.READY and session.cut_off
        if session.deadline is None or not (waiting or cut_off):
            return
        if session.deadline > now:
            self.timers.at(session, session.deadline - now)
            return
        with suppress(Conflict):  # somebody else was faster
            if cut_off:
                await self._judge_cut_off(session, now)
                return
            found = verdict(session, await self._facts(session, now))
            if isinstance(found, Redispatch):
                await self._redispatch(session, now)
            else:
                await self._hold_back(session, found, now)

    async def begin(self, session: Session, deployment: str, now: float, *, max_seats: int) -> Session:
        """Take a session from the queue to its first attempt. Raises Conflict, NoCapacity, LiveKitUnavailable."""
        first = dispatched(session, now, deadline=now + self.claim_seconds, deployment=deployment)
        after = await self.store.write(first, op=secrets.token_hex(8), max_seats=max_seats)
        await self._dispatch(after)
        return after

    async def give_up(self, session: Session, reason: Reason) -> None:
        """End the session, unless it has moved on since it was read."""
        rev = session.rev
        await self.ending.end(session.id, lambda each, _: reason if each.rev == rev else None, by="attempts")

    async def _facts(self, session: Session, now: float) -> Facts:
        workers, counts, recovering = await asyncio.gather(
            self.store.workers(seen_within=SILENT_SECONDS), self.store.counts(), self._recovering(session)
        )
        return Facts(
            now=now,
            workers=serving(workers, session.agent),
            under_way=counts[State.STARTING] + counts[State.RECOVERING],
            recovering=recovering,
            claim_seconds=self.claim_seconds,
            chance=self.chance(),
        )

    async def _recovering(self, session: Session) -> int:
        """How many other recoveries are under way: they have an attempt that can still come to its agent."""
        if session.state is not State.RECOVERING:
            return 0
        page = await self.store.page({State.RECOVERING}, limit=200)
        return sum(each.claimable for each in page.sessions if each.id != session.id)

    async def _hold_back(self, session: Session, found: Wait | GiveUp, now: float) -> None:
        match found:
            case Wait(until):
                await self._wait(session, until, now)
            case GiveUp(reason):
                await self.give_up(session, reason)

    async def _wait(self, session: Session, until: float, now: float) -> None:
        after = await self.store.write(replace(session, deadline=until), op=secrets.token_hex(8))
        self.timers.at(after, until - now)

    async def _redispatch(self, session: Session, now: float) -> None:
        try:
            if not await self._room_stands(session, now):
                return
        except LiveKitUnavailable:
            await self._server_away(session, now)
            return
        after = await self._next_attempt(session, now)
        if after is None:
            return
        facts = {"attempt": after.attempt, "tries": after.tries, "farewell": after.farewell}
        await log_event(self.store, session.id, "dispatched_again", level="warning", **facts)
        self.metrics.dispatched_again(after)
        try:
            await self._dispatch(after)
        except LiveKitUnavailable:  # its deadline passes, and it is tried again
            await self._not_asked(after, now)

    async def _not_asked(self, session: Session, now: float) -> None:
        """Let a dispatch that LiveKit did not answer cost no try, while another node may yet take the room over."""
        if now - session.since >= ROOM_BACK_SECONDS:
            return
        attempt = session.attempt

        def give_back(each: Session, _: float) -> Session:
            unasked = each.attempt == attempt and each.state in AWAITED and step(each) is AttemptStep.DISPATCHED
            return replace(each, tries=max(0, each.tries - 1)) if unasked else each

        with suppress(SessionNotFound):
            await update(self.store, session.id, give_back)

    async def _judge_cut_off(self, session: Session, now: float) -> None:
        """Replace an agent that says it has lost LiveKit, if LiveKit answers us; if not, nobody has it."""
        try:
            await self.rooms.ping(timeout=PING_SECONDS)
        except LiveKitUnavailable:
            await self._wait(session, now + BACK_SECONDS, now)
            return
        if session.job is not None:
            await self.store.write(lost(session, job=session.job, now=now), op=secrets.token_hex(8))
            await log_event(self.store, session.id, "agent_cut_off", level="error", attempt=session.attempt)

    async def _next_attempt(self, session: Session, now: float) -> Session | None:
        """The session with its next attempt written, None where there may be none.

        When a worker dies, many are due at once. They are decided here one after another, each by what the store says
        after the one before it was written: otherwise all of them would count none under way, and go together.
        """
        async with self._deciding:
            found = verdict(session, await self._facts(session, now))
            if isinstance(found, Redispatch):
                after = dispatched(
                    session, now, deadline=found.deadline, deployment=found.deployment, farewell=found.farewell
                )
                with suppress(NoCapacity):
                    return await self.store.write(after, op=secrets.token_hex(8), max_seats=self.max_seats)
                found = GiveUp(ErrorReason.NO_CAPACITY)
        await self._hold_back(session, found, now)
        return None

    async def _dispatch(self, session: Session) -> None:
        self.ghosts.send_out(session)
        await self.rooms.dispatch(session)
        self.timers.at(session, self.claim_seconds)

    async def _room_stands(self, session: Session, now: float) -> bool:
        """Whether there is a room to dispatch to, made anew where nobody ever was in it; else what follows is done.

        Raises:
            LiveKitUnavailable: nobody knows.
        """
        if await self.rooms.find(session.room) is not None:
            return True
        if session.caller is CallerPresence.ABSENT and not session.adopted and session.state is not State.RESERVED:
            await self.rooms.create(session, with_agent=False)
            return True
        if session.caller is not CallerPresence.ABSENT and now - _progress(session) < ROOM_BACK_SECONDS:
            # The room went with livekit-server; a caller's page comes back by itself, and makes the room anew.
            await self._wait(session, now + LOOK_AGAIN_SECONDS, now)
            return False
        await self.give_up(session, ROOM_GONE[session.caller])
        return False

    async def _server_away(self, session: Session, now: float) -> None:
        if now - _progress(session) < SERVER_SECONDS:
            await self._wait(session, now + LOOK_AGAIN_SECONDS, now)
        else:
            await self.give_up(session, ErrorReason.SERVER_LOST)


def _progress(session: Session) -> float:
    """When something last happened to it, Unix seconds; looking at it again and again is nothing."""
    return max(session.since, session.progress_at)
