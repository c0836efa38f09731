"""Keeps watch: follows what the store tells, looks at what is due and at who has fallen silent; knows no timer."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from dispatcher.attempts.executor import AttemptExecutor
from dispatcher.errors import LiveKitUnavailable
from dispatcher.livekit.port import Rooms
from dispatcher.observe.metrics import Metrics
from dispatcher.observe.session_log import log_event
from dispatcher.starts.queue import StartQueue
from dispatcher.upkeep.webhooks import is_caller
from session.errors import Conflict, SessionError, SessionNotFound, Stale, StoreUnavailable, UnreadableRecord
from session.record import Session, State, lost
from session.store.ports import SILENT_SECONDS, Event, EventKind, Store, Worker, update

WAIT_SECONDS = 0.3  # for the next event, in one request
PAUSE_SECONDS = 0.5  # between two requests while the store is away
GAP_SECONDS = 3.0  # without a look (two a second): the store was away, or all dispatchers were
DUE_AT_ONCE = 200
AT_ONCE = 20  # sessions that are seen to at the same time
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


@dataclass
class FastLoop:
    """The watch of one dispatcher; several share the work."""

    store: Store
    rooms: Rooms
    attempts: AttemptExecutor
    line: StartQueue
    metrics: Metrics
    reader: str = field(default_factory=lambda: secrets.token_hex(4))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _room_for: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def follow(self) -> None:
        """Act on events as they come, for ever; while the store is away, wait for it."""
        while True:
            try:
                for event in await self.store.events(self.reader, wait=WAIT_SECONDS):
                    self._hold(event)
            except StoreUnavailable:
                await asyncio.sleep(PAUSE_SECONDS)

    async def look(self) -> None:
        """See to what is due, to the queue and to the silent. Raises StoreUnavailable."""
        suspended = await self.store.watch(gap=GAP_SECONDS, window=SILENT_SECONDS)
        self.metrics.judging(suspended == 0)
        due = await self.store.due(limit=DUE_AT_ONCE)
        await asyncio.gather(*(self._see_to(session_id) for session_id in due))
        await self.line.advance()
        if suspended == 0:
            await self._judge_the_silent()

    async def act(self, event: Event) -> None:
        """What follows from one event."""
        if event.kind is EventKind.FREED:
            await self.line.advance()
            return
        if event.kind is EventKind.DUE:
            await self._see_to(event.session_id)
        with suppress(SessionNotFound, LiveKitUnavailable):
            session = await self.store.get(event.session_id)
            if session.recoveries:
                await self._tell_the_page(session)
            elif event.kind is EventKind.READY:
                await self.attempts.circuit.succeeded(session)

    async def _see_to(self, session_id: str) -> None:
        async with self._room_for:
            try:
                await self.attempts.handle_due(session_id)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with one session holds up no other
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

    async def _judge_the_silent(self) -> None:
        # Sessions are read before workers: a worker that has just come is not missed as that of a new agent.
        silent = await self._silent()
        if not silent:
            return
        workers = await self.store.workers(seen_within=60.0)
        now = await self.store.now()
        if fell_silent(workers, now):
            _log.warning("event=too_many_silent workers=%d", len(workers))
            return
        for session in silent:
            if session.job is not None and not lives(session.worker, workers, now):
                with suppress(SessionNotFound, Stale, Conflict):
                    await self._lose(session, session.job)

    async def _silent(self) -> list[Session]:
        silent = []
        for session_id in await self.store.silent(SILENT_SECONDS):
            with suppress(SessionNotFound, UnreadableRecord):
                silent.append(await self.store.get(session_id))
        return silent

    async def _lose(self, session: Session, job: str) -> None:
        after = await update(self.store, session.id, lambda each, now: lost(each, job=job, now=now))
        await log_event(self.store, after.id, "agent_silent", level="error", attempt=session.attempt)

    def _hold(self, event: Event) -> None:
        task = asyncio.create_task(self._act(event), name=f"{event.kind} {event.session_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _act(self, event: Event) -> None:
        try:
            await self.act(event)
        except SessionError as error:  # the next look finds it
            _log.warning("session=%s event=%s_not_done error=%s", event.session_id, event.kind, type(error).__name__)
