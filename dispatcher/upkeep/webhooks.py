"""What LiveKit's webhooks mean for a session; the API hands them over, and the slow loop finds what none told."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from dispatcher.ending import Ending
from dispatcher.errors import LiveKitUnavailable
from dispatcher.livekit.participants import is_caller, was_expected
from dispatcher.livekit.port import OpenRoom, Participant, Rooms, RoomWebhook, WebhookKind
from dispatcher.observe.metrics import Metrics
from dispatcher.observe.session_log import log_event
from dispatcher.starts.reservations import Reservations
from session.caller import PHONE
from session.errors import SessionNotFound, Stale, StoreUnavailable
from session.fence import adopted_session_id, agent_identity
from session.record import FINAL, STEP_SECONDS, AttemptStep, CallerPresence, EndReason, Session, State
from session.store.ports import SessionStore, update

REMEMBER_SECONDS = 600.0  # the id of a webhook that was applied; LiveKit repeats one for about 15 s
APPLYING_SECONDS = 3.0  # the same while a webhook is applied: another dispatcher may die in the middle of it
BEFORE_AGENT = frozenset({State.RESERVED, State.QUEUED, State.STARTING})  # no call that has had its agent is in these


def with_caller(session: Session, caller: CallerPresence, now: float) -> Session:
    """The session with its caller there or away since `now`; the same object where nothing changes."""
    if session.state in FINAL or session.caller is caller:
        return session
    if caller is CallerPresence.AWAY and session.caller is CallerPresence.ABSENT:
        return session
    if session.state is State.RESERVED:  # its token has just brought the dispatch: from now on an agent is due
        session = replace(session, progress_at=now, deadline=now + STEP_SECONDS[AttemptStep.DISPATCHED])
    return replace(session, caller=caller, caller_since=now, last_active=now)


def room_gone(session: Session, _: float) -> EndReason:
    """Why a session is over whose room was closed under it."""
    return EndReason.NOT_JOINED if session.caller is CallerPresence.ABSENT else EndReason.CALLER_LEFT


def hung_up_early(session: Session, _: float) -> EndReason | None:
    """Why a session is over whose caller has hung up; None where an agent has come, which judges by itself."""
    early = session.state in BEFORE_AGENT and session.caller is not CallerPresence.PRESENT
    return EndReason.CALLER_LEFT if early else None


async def session_of(store: SessionStore, secret: str, room: OpenRoom) -> Session | None:
    """The session of this room, ours or adopted; None: the room is none of ours. `secret`: LiveKit's API secret."""
    for session_id in (room.name, adopted_session_id(secret, room.sid)):
        if session_id.startswith("session_"):
            with suppress(SessionNotFound):
                return await store.get(session_id)
    return None


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Applies webhooks. `secret`: LiveKit's API secret, from which the ids of adopted sessions are made."""

    store: SessionStore
    rooms: Rooms
    ending: Ending
    metrics: Metrics
    secret: str
    reservations: Reservations

    async def apply(self, webhook: RoomWebhook) -> None:
        """Do what the webhook asks for; one that came before does nothing. Raises StoreUnavailable."""
        if webhook.kind is None:
            return
        if not webhook.id:
            await self._apply(webhook)
            return
        key = f"webhook:{webhook.id}"
        if not await self.store.first_time(key, seconds=APPLYING_SECONDS):
            self.metrics.webhook_ignored("repeated")
            return
        try:
            await self._apply(webhook)
        except BaseException:
            with suppress(StoreUnavailable):  # it runs out by itself then
                await self.store.forget(key)  # so that it is applied when LiveKit repeats it
            raise
        await self.store.remember(key, seconds=REMEMBER_SECONDS)

    async def _apply(self, webhook: RoomWebhook) -> None:
        session = await session_of(self.store, self.secret, webhook.room) or await self._take_up(webhook)
        if session is None:
            return
        if webhook.kind is WebhookKind.ROOM_FINISHED:
            await self._room_finished(session)
        elif webhook.participant is None:
            return
        elif webhook.kind is WebhookKind.JOINED:
            await self._joined(session, webhook.participant)
        elif was_expected(session, webhook.participant):
            await self._caller_left(session, webhook)
        elif webhook.participant.identity == agent_identity(session.id, session.attempt):
            await self._agent_left(session)

    async def _take_up(self, webhook: RoomWebhook) -> Session | None:
        """The session that a caller's token brings along, which nobody has recorded."""
        room = webhook.room.name
        if webhook.kind not in (WebhookKind.ROOM_STARTED, WebhookKind.JOINED) or not room.startswith("session_"):
            return None
        with suppress(LiveKitUnavailable):  # the worker's job has it too, and the sweep looks
            try:
                return await self.reservations.take_up(room, await self.rooms.asked_for(room), by=webhook.kind)
            except SessionNotFound:  # its token was used again after the end
                await self.rooms.delete(room)
        return None

    async def _agent_left(self, session: Session) -> None:
        """An agent writes the end before it leaves: one that did not, and is not there, is lost."""
        if session.state is not State.READY or session.job is None:
            return
        with suppress(LiveKitUnavailable, Stale):
            there = {each.identity for each in await self.rooms.participants(session.room)}
            if agent_identity(session.id, session.attempt) not in there:
                await self.ending.lose(session.id, session.job, "agent_left")

    async def _joined(self, session: Session, participant: Participant) -> None:
        if session.state in FINAL:
            with suppress(LiveKitUnavailable):  # the sweep closes it then
                await self.rooms.delete(session.room)
        elif is_caller(session, participant):
            await self._set_caller(session, CallerPresence.PRESENT)
            await self._tell_again(session, participant)

    async def _tell_again(self, session: Session, caller: Participant) -> None:
        """A page has missed what it was told of a recovery (fast_loop.py); one with a token was told nothing so far."""
        recovered = session.recoveries and session.state in (State.READY, State.RECOVERING)
        if recovered or (session.state is State.QUEUED and session.attempt):
            with suppress(LiveKitUnavailable):
                await self.rooms.set_caller_state(session.room, caller.identity, session.state)

    async def _caller_left(self, session: Session, webhook: RoomWebhook) -> None:
        """The server says who is there: a newer join's webhook may have come before this one."""
        if session.state in FINAL:
            return
        try:
            there = await self.rooms.participants(session.room)
        except LiveKitUnavailable:
            return  # nobody knows; the slow loop asks again
        if any(is_caller(session, each) for each in there):
            return
        await self._set_caller(session, CallerPresence.AWAY)
        if webhook.by_itself or (webhook.participant is not None and webhook.participant.kind == PHONE):
            await self.ending.end(session.id, hung_up_early, by="hang_up")

    async def _set_caller(self, before: Session, caller: CallerPresence) -> None:
        after = await update(self.store, before.id, lambda each, now: with_caller(each, caller, now))
        if after.caller is not before.caller:
            await log_event(self.store, before.id, "caller", caller=str(caller))

    async def _room_finished(self, session: Session) -> None:
        """An old one may come late: only the server knows whether there is a room of this name again."""
        if session.state in FINAL:
            return
        try:
            if await self.rooms.find(session.room) is not None:
                return
        except LiveKitUnavailable:
            return  # nobody knows; the slow loop asks again
        await self.ending.end(session.id, room_gone, by="room_finished")
