"""Twice a second: does what is due, lets the queue advance, judges the silent, shares out the pool; acts on events."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass, field

from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.attempts.silence import Silence
from dispatcher.errors import LiveKitUnavailable
from dispatcher.fleet.pool import FleetPool
from dispatcher.livekit.participants import is_caller
from dispatcher.livekit.port import Rooms
from dispatcher.observe.failures import contained
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.queue import StartQueue
from runtime.background import Background
from session.errors import SessionError, SessionNotFound, StoreUnavailable
from session.record import Session, State
from session.store.ports import SILENT_SECONDS, Event, EventKind, Store

WAIT_SECONDS = 0.3  # for the next event, in one request
PAUSE_SECONDS = 0.5  # between two requests while the store is away
GAP_SECONDS = 3.0  # without a look (two a second): the store was away, or all dispatchers were
DUE_AT_ONCE = 200
AT_ONCE = 20  # sessions that are handled at the same time

_log = logging.getLogger("dispatcher")


@dataclass
class FastLoop:
    """The fast loop of one dispatcher; several share the work."""

    store: Store
    rooms: Rooms
    attempts: AttemptExecutor
    queue: StartQueue
    silence: Silence
    metrics: Metrics
    pool: FleetPool
    reader: str = field(default_factory=lambda: secrets.token_hex(4))
    _tasks: Background = field(default_factory=lambda: Background("dispatcher"))
    _room_for: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def follow(self) -> None:
        """Act on what has happened since; while the store is away, wait for it."""
        try:
            for event in await self.store.events(self.reader, wait=WAIT_SECONDS):
                self._tasks.start(self._act(event), "event")
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_SECONDS)

    async def run(self) -> None:
        """Do what is due, let the queue advance, judge the silent, share out the pool. Raises StoreUnavailable."""
        suspended = await self.store.watch(gap=GAP_SECONDS, window=SILENT_SECONDS)
        self.metrics.judging(suspended == 0)
        due = await self.store.due(limit=DUE_AT_ONCE)
        await asyncio.gather(*(self._handle_due(session_id) for session_id in due))
        await self.queue.advance()
        if suspended == 0:
            await self.silence.judge()
            await self.pool.share()

    async def act(self, event: Event) -> None:
        """What follows from one event."""
        if event.kind is EventKind.OVER:
            return  # upkeep/ended.py does what follows from an end
        if event.kind is EventKind.FREED:
            await self.queue.advance()
            return
        if event.kind is EventKind.DUE:
            await self._handle_due(event.session_id)
        with suppress(SessionNotFound, LiveKitUnavailable):
            session = await self.store.get(event.session_id)
            if session.recoveries or session.attempt > 1:  # its page was told that it waits for an agent
                await self._tell_the_page(session)
            if event.kind is EventKind.READY and not session.recoveries:
                await self.attempts.circuit.succeeded(session)

    async def _handle_due(self, session_id: str) -> None:
        async with self._room_for:
            try:
                with contained("due"):
                    await self.attempts.handle_due(session_id)
            except SessionError as error:
                _log.warning("session=%s event=not_seen_to error=%s", session_id, type(error).__name__)

    async def _tell_the_page(self, session: Session) -> None:
        """That the agent is being replaced, or has been; again when that changed meanwhile, so that it is so at last.

        Raises:
            LiveKitUnavailable, SessionNotFound: the page is not told, or is gone.
        """
        told = None
        while session.state is not told and session.state in (State.READY, State.RECOVERING):
            told = session.state
            for participant in await self.rooms.participants(session.room):
                if is_caller(session, participant):
                    await self.rooms.set_caller_state(session.room, participant.identity, told)
            session = await self.store.get(session.id)

    async def _act(self, event: Event) -> None:
        try:
            await self.act(event)
        except SessionError as error:  # the next look finds it
            _log.warning("session=%s event=%s_not_done error=%s", event.session_id, event.kind, type(error).__name__)
