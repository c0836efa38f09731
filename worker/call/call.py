"""One call in its room: connect, publish, talk, end; worker/process/job.py runs it once the session is claimed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext
from livekit.rtc.participant import PublishTrackError

from pipeline.errors import PipelineError
from pipeline.resume.restore import Restored
from pipeline.talk.audio_ends import IN_RATE, OUT_RATE
from pipeline.talk.conversation import Conversation
from pipeline.talk.shared_sink import play
from runtime.background import Background, Failure, Policy, keep_going, on_failure, report
from session.errors import SessionError, StoreUnavailable
from session.fence import ALIVE_METHOD
from session.record import CallerPresence, EndReason, ErrorReason, Session
from session.store.redis.store import RedisStore
from session.timing import CALL_END_SECONDS, PIPELINE_STOP_SECONDS
from worker.call.audio import AgentTrack, CallerTrack
from worker.call.call_record import CallRecord, Outcome
from worker.call.caller_patience import CallerPatience, Patience
from worker.call.checkpoints import Checkpoints, handed_over, unwritten
from worker.call.connection import ConnectionWatch
from worker.call.echo import EchoCanceller
from worker.call.front_end import FrontEnd
from worker.call.listener import CallListener
from worker.call.phone import phone_in, phone_of, recorded
from worker.call.predecessors import Predecessors
from worker.call.provider_circuits import LOOK_SECONDS, ProviderCircuits
from worker.call.room_events import RoomEvents
from worker.call.rtvi import Rtvi
from worker.call.rtvi_requests import RtviRequests
from worker.call.silence import CallerSilence, SilenceWatch
from worker.call.unusable import for_the_log, why_unusable
from worker.call.waterfall import Waterfall

if TYPE_CHECKING:
    from worker.process.warm import Warm

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0  # ICE and DTLS on a busy machine take up to 3 s
REFUSED = "You are sending more than I can read, so I left some of it out."
ALIVE_SECONDS = 1.0  # between two signs of life; five without one count as a loss
FAREWELL_SECONDS = 10.0  # for the last sentence to be heard, the caller's subscription included
UNUSABLE_SECONDS = 5.0  # the same of an agent that cannot begin: its attempt counts as failed after 12


async def _alive(_: rtc.RpcInvocationData) -> str:
    """Answer a dispatcher that has heard nothing of this agent through the store."""
    return ""


class RoomCall:
    """A claimed session in its room.

    Args:
        ctx: LiveKit's job; its room is not connected yet.
        store: where the session is kept.
        session: as claimed.
        warm: what was loaded before the fork.
        patience: how long to wait for the caller.
        waterfall: the steps of the start so far.
        before: where another agent left off; None where none did, or nothing of it can be taken up.
        started: called once the caller hears the agent, or nobody is there to hear it.
    """

    def __init__(
        self,
        ctx: JobContext,
        store: RedisStore,
        session: Session,
        warm: Warm,
        patience: Patience,
        waterfall: Waterfall,
        before: Restored | None = None,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        self._ctx, self._session, self._warm = ctx, session, warm
        self._waterfall, self._before, self._started = waterfall, before, started
        self._outcome: Outcome | None = None
        self._giving_up = self._superseded = self._refused = False
        self._tasks = Background(session.id, on_end=self._failed)
        self._record = CallRecord(store, session, ctx.job.id, self._supersede)
        self._forget_failures = on_failure(self._record.failure)
        self._checkpoints = Checkpoints(store, session, ctx.job.id, self._supersede)
        self._circuits = ProviderCircuits(store, ctx.job.id)
        self._patience = CallerPatience(patience, time.monotonic())
        if self._takes_over:
            self._patience.expect_back()
        self._moved = asyncio.Event()
        self._front_end = FrontEnd(ctx.room, self._checkpoints.settled)
        self._rtvi = Rtvi(ctx.room, session, self._record.page_speaks, self._checkpoints.settled)
        self._silence = CallerSilence(patience.ask, patience.silent)
        told = (self._front_end, self._rtvi, self._record, self._checkpoints, self._silence)
        self._listener = CallListener(*told, give_up=self._give_up, end=self.end)
        self._track = AgentTrack(OUT_RATE, Predecessors(ctx.room, session).silent)
        self._echo = EchoCanceller(self._track, OUT_RATE, IN_RATE, self._record.own_voice)
        self._conversation: Conversation | None = None
        self._talking: asyncio.Task[None] | None = None
        self._room_events = RoomEvents(ctx.room, session, self)
        self._requests = RtviRequests(ctx.room, session.id, self._rtvi, self._room_events, self)

    async def run(self) -> None:
        """Take the call from connecting to its end; returns when it is to be closed."""
        connecting = self._tasks.start(self._connect(), "connect")
        look = keep_going(self._circuits.look, "provider circuits", owner=self._session.id, pause=LOOK_SECONDS)
        self._tasks.start(look, "provider circuits")
        conversation, unusable = None, None
        if not self._session.farewell:
            conversation, unusable = self._make_conversation()
        if unusable is not None:
            await self._bid_farewell(connecting, unusable, UNUSABLE_SECONDS)
            return
        publication = await asyncio.shield(connecting)
        if publication is None:
            self.end(ErrorReason.CONNECT_FAILED)
            return
        self._ready(publication)
        self._tasks.start(
            keep_going(self._record.alive, "signs of life", owner=self._session.id, pause=ALIVE_SECONDS),
            "signs of life",
        )
        watch = ConnectionWatch(self._ctx.room, self._cut_off)
        self._tasks.start(keep_going(watch.step, "connection", owner=self._session.id), "connection")
        if conversation is None:
            await self._bid_farewell(connecting, ErrorReason.LOST, FAREWELL_SECONDS)
            return
        self._room_events.arrive(CallerTrack(IN_RATE, self._echo.before(conversation.microphone.hear)), conversation)
        await conversation.started()
        self._front_end.state("listening")
        self._rtvi.begin()
        self._tasks.start(self._greet(conversation, publication), "greet", policy=Policy.END)
        quiet = SilenceWatch(self._silence, conversation, lambda: self.end(EndReason.IDLE))
        self._tasks.start(keep_going(quiet.step, "silence", owner=self._session.id), "silence")
        await self._wait_for_the_end()

    async def close(self) -> None:
        """Write the end, while the room is still connected, and stop everything within CALL_END_SECONDS."""
        over_at = time.monotonic() + CALL_END_SECONDS
        self._track.close()
        outcome = self._outcome or await self._room_events.room_closed()
        if outcome is None and self._conversation is not None and not self._superseded:
            last = handed_over(self._conversation.checkpoint())
            self._record.after(lambda: self._checkpoints.keep(last))
        self._room_events.close()
        self._requests.close()
        leaving = (self._last_words(), self._front_end.give_way()) if outcome is None else (self._last_words(),)
        await asyncio.gather(*leaving)
        if not self._superseded:
            self._record.end(outcome)
        self._record.after(self._circuits.close)
        self._tasks.cancel()
        await asyncio.gather(self._front_end.close(), self._rtvi.close())
        await self._record.flush(over_at - time.monotonic())
        self._forget_failures()
        how = outcome or "handed over"
        logger.info("session=%s attempt=%d event=closed outcome=%s", self._session.id, self._session.attempt, how)

    async def abandon(self) -> None:
        """The worker has died, and this process dies with it: say so, and leave the room to another agent."""
        self._track.close()
        showing = self._tasks.start(self._front_end.give_way(), "give way") if self._outcome is None else None
        with contextlib.suppress(SessionError):
            await self._record.abandon(self._outcome)
        if showing is not None:
            await showing
        await self._ctx.room.disconnect()

    def end(self, outcome: Outcome) -> None:
        """The call is over, for this reason; the first one given counts."""
        if self._outcome is None:
            self._outcome = outcome
            self._ctx.shutdown(reason=outcome.value)

    def failed(self, error: Exception) -> None:
        """The call's own code has failed: nobody knows what still works, so the caller is told and the call ends."""
        self._failed(report(self._session.id, "call", error))

    def caller_came(self, identity: str, sid: str) -> None:
        """The caller joined, or came back."""
        self._patience.joined(sid)
        self._silence.words(time.monotonic())
        self._rtvi.caller(identity)
        self._telephones(identity)
        self._caller_moved(CallerPresence.PRESENT)
        logger.info("session=%s event=caller_joined", self._session.id)

    def _telephones(self, identity: str) -> None:
        phone = phone_of(self._ctx.room.remote_participants.get(identity))
        if phone is not None and phone != phone_in(self._session):
            self._record.telephoned(recorded(phone))
        if phone is not None and self._conversation is not None:
            self._conversation.call.phone = phone

    def caller_went(self, sid: str, *, by_itself: bool, for_good: bool) -> None:
        """A join of the caller ended."""
        if self._patience.left(sid, time.monotonic(), by_itself=by_itself, for_good=for_good):
            self._silence.away()
            self._caller_moved(CallerPresence.AWAY)
            logger.info("session=%s event=caller_away by_itself=%s", self._session.id, by_itself)
            if self._conversation is not None:
                self._tasks.start(self._conversation.hush(), "hush")

    def nobody_answered(self) -> None:
        """The phone that was called stopped ringing."""
        self._patience.stop_waiting(time.monotonic())
        self._moved.set()

    def caller_speaks_on(self, identity: str, track_sid: str) -> None:
        """The caller's microphone is this track."""
        self._front_end.caller(identity, track_sid)

    def caller_refused(self) -> None:
        """The caller sends more than is taken: its page says so, once."""
        if not self._refused:
            self._refused = True
            self._front_end.notice(REFUSED)
            self._rtvi.error(REFUSED, fatal=False)
            self._record.log("typed_dropped", level="warning")

    def caller_hangs_up(self) -> None:
        """The caller's page sends the agent away."""
        self.end(EndReason.CALLER_LEFT)

    def _make_conversation(self) -> tuple[Conversation | None, ErrorReason | None]:
        """The conversation, or why there can be none: an agent's own code runs here, and may do anything."""
        try:
            return self._converse(), None
        except PipelineError as error:
            logger.error("session=%s event=agent_unusable why=%s", self._session.id, error)
            self._record.log("agent_unusable", level="error", **for_the_log(error))
            return None, why_unusable(error, self._session.config)
        except Exception as error:  # noqa: BLE001 - the agent's author's code ends here
            report(self._session.id, "agent", error)
            return None, ErrorReason.AGENT_FAILED

    def _converse(self) -> Conversation:
        warm = self._warm
        agent = warm.agents.get(self._session.agent)
        if agent is None:
            raise PipelineError(f"this worker has no agent {self._session.agent!r}")
        resolved = agent.with_config(self._session.config).resolve(warm.settings)
        conversation = Conversation(
            resolved,
            warm.settings,
            warm.analyzers,
            sink=self._echo,
            listener=self._listener,
            session_id=self._session.id,
            restored=self._before,
            keep=self._checkpoints.keep_first,
            circuits=self._circuits,
            moment=warm.moment,
        )
        self._dropped_out = resolved.dropped_out
        conversation.speaker.first_audio = self._first_audio
        conversation.loopback.on_own = self._echo.begin
        conversation.call.phone = phone_in(self._session)
        self._conversation = conversation
        self._talking = self._tasks.start(conversation.run(), "conversation", policy=Policy.END)
        self._tasks.start(self._checkpoints.run(conversation.checkpoint), "checkpoints")
        return conversation

    async def _connect(self) -> rtc.LocalTrackPublication | None:
        """The agent's track in the room; None where the room could not be joined in time."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
                self._waterfall.mark("connected")
                self._ctx.room.local_participant.register_rpc_method(ALIVE_METHOD, _alive)
                publication = await self._track.publish(self._ctx.room)
        except (TimeoutError, rtc.ConnectError, PublishTrackError) as error:
            logger.error("session=%s event=connect_failed why=%s", self._session.id, type(error).__name__)
            return None
        self._waterfall.mark("published")
        return publication

    def _ready(self, publication: rtc.LocalTrackPublication) -> None:
        self._front_end.agent_track(publication.sid)
        self._front_end.state("initializing")
        self._waterfall.mark("ready")
        self._record.ready(dict(self._waterfall.steps))

    def _cut_off(self, is_cut_off: bool) -> None:
        """Let a dispatcher replace this agent, if it can reach LiveKit itself; nobody hears what is said now."""
        event = "cut_off" if is_cut_off else "connected_again"
        logger.warning("session=%s event=%s", self._session.id, event)
        self._record.cut_off(is_cut_off)
        self._record.log(event, level="warning")

    def _first_audio(self) -> None:
        self._started()
        self._waterfall.mark("first_audio")
        self._record.greeted({"first_audio": self._waterfall.steps["first_audio"]})

    async def _greet(self, conversation: Conversation, publication: rtc.LocalTrackPublication) -> None:
        if not self._room_events.present.is_set():
            self._started()
        await self._room_events.present.wait()
        await publication.wait_for_subscription()
        if self._takes_over:
            await self._resume(conversation)
            return
        early = await self._room_events.early_words()
        if early:
            await conversation.microphone.hear(early)
        else:
            await conversation.greet()

    @property
    def _takes_over(self) -> bool:
        """Whether the caller has heard an agent before this one: a greeting would be out of place."""
        session = self._session
        return session.recoveries > 0 and session.caller is not CallerPresence.ABSENT and session.greeted

    async def _resume(self, conversation: Conversation) -> None:
        before = self._before or Restored()
        with contextlib.suppress(StoreUnavailable):
            for utterance in unwritten(before, await self._record.transcript(), time.time()):
                self._record.utter(utterance)
        self._record.log("resumed", remembered=self._before is not None, unanswered=before.unanswered)
        if before.left_out:
            self._record.log("words_left_out", level="warning")
        await conversation.resume(self._dropped_out, unanswered=before.unanswered)

    async def _bid_farewell(
        self, connecting: asyncio.Task[rtc.LocalTrackPublication | None], reason: ErrorReason, seconds: float
    ) -> None:
        """Say in one sentence that the call cannot go on, if anybody is there in time, and end it."""
        self._rtvi.error(reason.value, fatal=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                publication = await asyncio.shield(connecting)
                if publication is not None:
                    await publication.wait_for_subscription()
                    await play(self._track, self._warm.apology)
        self.end(reason)

    def _failed(self, failure: Failure) -> None:
        """A task has failed without which there is no call."""
        self._listener.agent_failed(failure.where)

    def _give_up(self, reason: ErrorReason) -> None:
        """Apologise, once, and end the call."""
        if not self._giving_up:
            self._giving_up = True
            self._rtvi.error(reason.value, fatal=True)
            self._tasks.start(self._apologise(reason), "apologise")

    async def _apologise(self, reason: ErrorReason) -> None:
        try:
            if self._conversation is not None:
                with contextlib.suppress(TimeoutError):
                    await self._conversation.apologise(self._warm.apology)
        finally:
            self.end(reason)

    async def _last_words(self) -> None:
        """Stop talking, and let what was heard of the last sentence be written: nothing is taken after the end."""
        if self._conversation is not None and self._talking is not None:
            stopping = self._tasks.start(self._conversation.stop(), "stop")
            await asyncio.wait({stopping, self._talking}, timeout=PIPELINE_STOP_SECONDS)

    async def _wait_for_the_end(self) -> None:
        while self._outcome is None:
            verdict = self._patience.verdict(time.monotonic())
            if verdict is not None:
                self.end(verdict)
                return
            self._moved.clear()
            deadline = self._patience.deadline
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), timeout)

    def _caller_moved(self, presence: CallerPresence) -> None:
        self._moved.set()
        self._record.caller(presence)

    def _supersede(self) -> None:
        if not self._superseded:
            self._superseded = True
            self._track.close()
            self._ctx.shutdown(reason="superseded")
