"""Tokens that bring their session along, and the sessions they begin; token route, webhooks and sweep call it.

Nothing is stored for a token. The session travels in the dispatch inside the token's room configuration, and whoever
meets the joined room first records it: a dispatcher here, or the worker that gets the job (worker/host/server.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from dispatcher.attempts.executor import NoTimers, Timers
from dispatcher.ending import Ending
from dispatcher.errors import TokenTooLarge
from dispatcher.livekit.port import ParticipantDetails, Rooms
from dispatcher.observe.session_log import log_event
from dispatcher.starts.admission import Admitted, admit
from dispatcher.starts.start import StartRequest
from session.errors import BadMetadata, NoCapacity, NoWorker, SessionError, TooManySessions
from session.fence import Ticket, read_ticket, reserved
from session.record import CallerPresence, ErrorReason, Session, State, new_session_id
from session.reservation import Reservation, taken_up
from session.store.ports import SILENT_SECONDS, WORKER_SECONDS, Store, Worker

RESERVATION_BYTES = 3072  # of the dispatch's metadata, JSON: a worker reads 4096
FRONT_END_BYTES = 2048  # of what a front end says of its participant, JSON
TOKEN_BYTES = 8192  # a header that LiveKit and the proxies before it take


@dataclass(frozen=True, slots=True)
class Reservations:
    """Tokens without a record, and their records.

    Args:
        store: sessions and workers.
        rooms: LiveKit.
        ending: ends sessions.
        max_seats: MAX_BOTS.
        claim_seconds: how long a worker may take to accept.
        queue_seconds: how long a session may wait for a slot.
        timers: who looks after a session whose deadline passes.
    """

    store: Store
    rooms: Rooms
    ending: Ending
    max_seats: int
    claim_seconds: float = 2.0
    queue_seconds: float = 30.0
    timers: Timers = field(default_factory=NoTimers)

    async def issue(self, wish: StartRequest, front_end: ParticipantDetails) -> str:
        """A token that brings its session and agent when it is used; nothing is stored or allocated before.

        Args:
            wish: what the session is to be; whoever has the token can read its owner.
            front_end: what the token says of its participant.

        Raises:
            TokenTooLarge: something in it is too long.
            TooManySessions: its owner has as many live sessions as it may have.
            NoWorker, NoCapacity: nothing could serve it now.
            UnknownAgent, ConfigNotAllowed, ProviderNotUsable: see `admit`.
            StoreUnavailable: the store is away.
        """
        now, workers, seats, waiting = await asyncio.gather(
            self.store.now(), self.store.workers(seen_within=WORKER_SECONDS), self.store.seats(), self.store.queue()
        )
        if wish.max_owned is not None and await self.store.owned(wish.owner) >= wish.max_owned:
            raise TooManySessions
        admitted = admit(workers, now, agent=wish.agent, config=wish.config)
        if not admitted.slots:
            raise NoWorker
        if not admitted.free or waiting or seats >= min(self.max_seats, admitted.seats):
            raise NoCapacity
        reservation = Reservation(
            at=now,
            agent=wish.agent,
            deployment=admitted.deployment,
            owner=wish.owner,
            user_name=wish.user_name,
            max_owned=wish.max_owned,
            metadata=wish.metadata,
            config=wish.config,
        )
        ticket = Ticket(new_session_id(), 1, reservation)
        _check_sizes(ticket, front_end)
        if not _all_read(workers, now):
            ticket = await self._recorded_before(ticket, reservation)
        token = self.rooms.reserved_token(ticket, front_end, deployment=admitted.deployment)
        if len(token) > TOKEN_BYTES:
            parts = {**_of_reservation(reservation), **_of_front_end(front_end)}
            raise TokenTooLarge(_sentence(parts, "the token", len(token), TOKEN_BYTES))
        return token

    async def take_up(self, room: str, asked: Sequence[str], *, by: str) -> Session | None:
        """The session that a room without a record begins with, recorded now; the same again gets the same answer.

        Args:
            room: its name; its caller has joined, or is about to.
            asked: the metadata of the dispatches in it.
            by: who has met it, for the session's log.

        Returns:
            The session as it stands; None: nothing was reserved, or the token has run out.

        Raises:
            SessionNotFound: it is over, and nothing begins anew.
            StoreUnavailable: the store is away.
        """
        now, workers, waiting = await asyncio.gather(
            self.store.now(), self.store.workers(seen_within=WORKER_SECONDS), self.store.queue()
        )
        for metadata in asked:
            with suppress(BadMetadata):
                ticket = read_ticket(metadata)
                reservation = None if ticket is None else reserved(ticket, room, now)
                if reservation is not None:
                    first = taken_up(room, reservation, now, deadline=now + self.claim_seconds)
                    admitted = _admitted(first, workers, now)
                    try:
                        return await self._begin(
                            first, admitted, waiting=len(waiting), max_owned=reservation.max_owned, by=by
                        )
                    except TooManySessions:
                        return await self._refuse(first, by)
        return None

    async def _begin(
        self, first: Session, admitted: Admitted | None, *, waiting: int, max_owned: int | None, by: str
    ) -> Session:
        """Record it with a seat, where a start would get one now; else with a place in the queue."""
        op = f"reserve-{first.id}"
        if admitted is not None and admitted.free and not waiting:
            with suppress(NoCapacity):
                starting = replace(first, prewarmed=admitted.prewarmed)
                seats = min(self.max_seats, admitted.seats)
                stands = await self.store.start(starting, max_seats=seats, op=op, max_owned=max_owned)
                return await self._begun(starting, stands.session, self.claim_seconds, by)
        # The job that LiveKit offers by itself is declined: the queue makes the next attempt.
        queued = _queued(first, self.queue_seconds)
        stands = await self.store.start(queued, max_seats=self.max_seats, op=op, max_owned=max_owned)
        return await self._begun(queued, stands.session, self.queue_seconds, by)

    async def _refuse(self, first: Session, by: str) -> Session:
        """Record it and end it: its caller is in the room already, and its page must learn why nobody comes."""
        queued = replace(_queued(first, self.queue_seconds), caller=CallerPresence.PRESENT)
        await self.store.start(queued, max_seats=self.max_seats, op=f"reserve-{first.id}")
        await log_event(self.store, first.id, "too_many_sessions", level="warning", agent=first.agent)
        return await self.ending.end(first.id, lambda *_: ErrorReason.NO_CAPACITY, by=by)

    async def _begun(self, ours: Session, stands: Session, seconds: float, by: str) -> Session:
        if stands is ours:
            self.timers.at(ours, seconds)
            await log_event(self.store, ours.id, str(ours.state), agent=ours.agent, by=by)
        return stands

    async def _recorded_before(self, ticket: Ticket, reservation: Reservation) -> Ticket:
        """The ticket without its reservation, with a `reserved` record instead: as all workers of before read it."""
        session = taken_up(ticket.session_id, reservation, reservation.at, deadline=reservation.at)
        session = replace(session, state=State.RESERVED, deadline=None, progress_at=0.0, room_made=False, steps={})
        await self.store.start(session, max_seats=self.max_seats, op=f"reserve-{session.id}")
        await log_event(self.store, session.id, "reserved", agent=session.agent)
        return replace(ticket, reservation=None)


def _queued(first: Session, seconds: float) -> Session:
    """The session with a place in the queue for so many seconds."""
    deadline = first.created_at + seconds
    return replace(first, state=State.QUEUED, claimable=False, tries=0, deadline=deadline)


def _all_read(workers: Sequence[Worker], now: float) -> bool:
    """Whether all workers that live record sessions by themselves; dispatchers are updated before workers."""
    return all(each.reads_reservations for each in workers if now - each.seen_at < SILENT_SECONDS and not each.left)


def _admitted(session: Session, workers: Sequence[Worker], now: float) -> Admitted | None:
    """Whether a start of this session would be taken now; None: it would not, and may be in a while."""
    try:
        return admit(workers, now, agent=session.agent, config=session.config)
    except SessionError:
        return None


def _check_sizes(ticket: Ticket, front_end: ParticipantDetails) -> None:
    """Raises TokenTooLarge, which names what is too long."""
    reservation, said = len(ticket.to_json()), sum(map(_size, _of_front_end(front_end).values()))
    if reservation > RESERVATION_BYTES and ticket.reservation is not None:
        parts = _of_reservation(ticket.reservation)
        raise TokenTooLarge(_sentence(parts, "the reservation", reservation, RESERVATION_BYTES))
    if said > FRONT_END_BYTES:
        raise TokenTooLarge(_sentence(_of_front_end(front_end), "the participant's details", said, FRONT_END_BYTES))


def _of_reservation(reservation: Reservation) -> Mapping[str, object]:
    """What of it the request gave, by the names it has there."""
    return {"participant_name": reservation.user_name, "room_config.agents[0].metadata": dict(reservation.metadata)}


def _of_front_end(front_end: ParticipantDetails) -> Mapping[str, object]:
    return {
        "participant_name": front_end.name,
        "participant_metadata": front_end.metadata,
        "participant_attributes": dict(front_end.attributes),
    }


def _sentence(parts: Mapping[str, object], whole: str, size: int, limit: int) -> str:
    longest = max(parts, key=lambda name: _size(parts[name]))
    return f"{longest} is too long: {whole} would have {size} bytes of JSON, and at most {limit} fit."


def _size(fact: object) -> int:
    """Bytes as JSON in ASCII, which a token is made of."""
    return len(json.dumps(fact, separators=(",", ":")))
