"""One call: claim, connect, publish, talk, end; knows LiveKit's room and our session, but not how speech is made."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext
from livekit.rtc.participant import PublishTrackError

from pipeline.errors import PipelineError
from pipeline.resume.restore import Restored
from pipeline.talk.audio_ends import IN_RATE, OUT_RATE
from pipeline.talk.conversation import Conversation, play
from runtime.retry import retry
from session.errors import SessionError, Stale, StoreUnavailable
from session.record import (
    CallerPresence,
    EndReason,
    ErrorReason,
    Session,
    became_ready,
    caller_moved,
    ended,
    failed,
    lost,
    progressed,
)
from session.store.ports import Utterance, update
from session.store.redis.store import RedisStore
from worker.call.audio import AgentTrack, CallerTrack
from worker.call.caller_patience import CallerPatience, Patience
from worker.call.checkpoints import Checkpoints, unwritten
from worker.call.front_end import FrontEnd
from worker.call.outbox import Outbox
from worker.call.room_events import RoomEvents
from worker.call.waterfall import Waterfall

if TYPE_CHECKING:
    from worker.process.warm import Warm

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0  # ICE and DTLS on a busy machine take up to 3 s
ALIVE_SECONDS = 1.0  # between two signs of life; five without one count as a loss
STOP_SECONDS = 1.0  # for the pipeline to come to rest; it takes some 10 ms
FAREWELL_SECONDS = 10.0  # for the last sentence to be heard, the caller's subscription included
TRANSCRIPT_SECONDS = 1.0  # for the transcript to be read before the agent goes on
FLUSH_SECONDS = 2.5  # for the last writes; the process must be gone 5 s after a stop

Outcome = EndReason | ErrorReason


class RoomCall:
    """A claimed session in its room. Also the `Listener` of its conversation.

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
        self._ctx, self._store, self._session, self._warm = ctx, store, session, warm
        self._fence: dict[str, Any] = {"attempt": session.attempt, "job": ctx.job.id}
        self._waterfall = waterfall
        self._outcome: Outcome | None = None
        self._superseded = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._before = before
        self._started = started
        self._checkpoints = Checkpoints(store, session, ctx.job.id, self._supersede)
        self._presence = CallerPatience(patience, time.monotonic())
        if self._takes_over:
            self._presence.expect_back()
        self._moved = asyncio.Event()
        self._outbox = Outbox(self._supersede)
        self._front_end = FrontEnd(ctx.room, self._checkpoints.settled)
        self._track = AgentTrack(OUT_RATE)
        self._conversation: Conversation | None = None
        self._talking: asyncio.Task[None] | None = None
        self._room_events = RoomEvents(ctx.room, session, self)

    async def run(self) -> None:
        """Take the call from connecting to its end; returns when it is to be closed."""
        connecting = self._hold(self._connect(), "connect")
        conversation = None
        try:
            if not self._session.farewell:
                conversation = self._converse()
        except PipelineError as error:
            logger.error("session=%s event=agent_unusable why=%s", self._session.id, error)
            self.end(ErrorReason.PROVIDER_FAILED)
            return
        try:
            publication = await asyncio.wait_for(asyncio.shield(connecting), CONNECT_SECONDS)
        except (TimeoutError, rtc.ConnectError, PublishTrackError) as error:
            logger.error("session=%s event=connect_failed why=%s", self._session.id, type(error).__name__)
            self.end(ErrorReason.CONNECT_FAILED)
            return
        self._ready(publication)
        self._hold(self._live(), "signs of life")
        if conversation is None:
            await self._bid_farewell(publication)
            return
        self._room_events.arrive(CallerTrack(IN_RATE, conversation.microphone.hear), conversation)
        await conversation.started()
        self._front_end.state("listening")
        self._hold(self._greet(conversation, publication), "greet")
        await self._wait_for_the_end()

    async def close(self) -> None:
        """Write the end, while the room is still connected, and stop everything."""
        self._track.close()
        outcome = self._outcome or await self._room_events.room_closed()
        if outcome is None and self._conversation is not None and not self._superseded:
            last = self._conversation.checkpoint()
            self._outbox.record(lambda: self._checkpoints.keep(last))
        self._room_events.close()
        await self._last_words()
        if not self._superseded:
            self._write(self._last(outcome))
        for task in self._tasks:
            task.cancel()
        await self._front_end.close()
        await self._outbox.flush(FLUSH_SECONDS)
        how = outcome or "handed over"
        logger.info("session=%s attempt=%d event=closed outcome=%s", self._session.id, self._session.attempt, how)

    async def abandon(self) -> None:
        """The worker has died, and this process dies with it: say so, and leave the room to another agent."""
        self._track.close()
        with contextlib.suppress(SessionError):
            if self._session.worker is not None:
                await self._store.gone(self._session.worker)
            await update(self._store, self._session.id, self._last(self._outcome))
        await self._ctx.room.disconnect()

    async def _last_words(self) -> None:
        """Stop talking, and let what was heard of the last sentence be written: nothing is taken after the end."""
        if self._conversation is not None and self._talking is not None:
            await self._conversation.stop()
            await asyncio.wait({self._talking}, timeout=STOP_SECONDS)

    def end(self, outcome: Outcome) -> None:
        """The call is over, for this reason; the first one given counts."""
        if self._outcome is None:
            self._outcome = outcome
            self._ctx.shutdown(reason=outcome.value)

    def caller_came(self, identity: str, sid: str) -> None:
        """The caller joined, or came back."""
        self._presence.joined(sid)
        self._tell_presence(CallerPresence.PRESENT)
        logger.info("session=%s event=caller_joined", self._session.id)

    def caller_went(self, sid: str, *, by_itself: bool) -> None:
        """A join of the caller ended."""
        if self._presence.left(sid, time.monotonic(), by_itself=by_itself):
            self._tell_presence(CallerPresence.AWAY)
            logger.info("session=%s event=caller_away by_itself=%s", self._session.id, by_itself)
            if self._conversation is not None:
                self._hold(self._conversation.hush(), "hush")

    def caller_speaks_on(self, identity: str, track_sid: str) -> None:
        """The caller's microphone is this track."""
        self._front_end.caller(identity, track_sid)

    def agent_state(self, state: str) -> None:
        """Listener: who speaks."""
        self._front_end.state(state)

    def user_words(self, text: str, *, final: bool) -> None:
        """Listener: the caller's words."""
        self._front_end.user_words(text, final=final)

    def user_said(self, text: str) -> None:
        """Listener: a turn of the caller."""
        self._say(Utterance(speaker="user", text=text, at=time.time()))

    def agent_sentence(self, text: str) -> None:
        """Listener: the agent begins a sentence."""
        self._front_end.agent_sentence(text)

    def agent_said(self, text: str, *, interrupted: bool) -> None:
        """Listener: a turn of the agent."""
        self._front_end.agent_said(text)
        if text:
            self._say(Utterance(speaker="agent", text=text, at=time.time(), interrupted=interrupted))

    def turn_taken(self, *, gap: float | None, barge_ins: int) -> None:
        """Listener: the agent answers."""
        if gap is not None:
            self._log("turn", gapMs=round(gap * 1000), bargeIns=barge_ins)

    def provider_failed(self, provider: str, *, permanent: bool) -> None:
        """Listener: a provider cannot go on; the caller hears so before the call ends."""
        self._log("provider_failed", level="error", provider=provider, permanent=permanent)
        self._hold(self._apologise(), "apologise")

    def conversation_changed(self) -> None:
        """Listener: there is something to remember."""
        self._checkpoints.changed()

    def wants_to_end(self) -> None:
        """Listener: the agent has said goodbye."""
        self.end(EndReason.FINISHED)

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
            sink=self._track,
            listener=self,
            session_id=self._session.id,
            restored=self._before,
            keep=self._checkpoints.keep_first,
        )
        self._dropped_out = resolved.dropped_out
        conversation.speaker.first_audio = self._first_audio
        self._conversation = conversation
        self._talking = self._hold(conversation.run(), "conversation")
        self._hold(self._checkpoints.run(conversation.checkpoint), "memory")
        return conversation

    async def _connect(self) -> rtc.LocalTrackPublication:
        await self._ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
        self._waterfall.mark("connected")
        publication = await self._track.publish(self._ctx.room)
        self._waterfall.mark("published")
        return publication

    def _ready(self, publication: rtc.LocalTrackPublication) -> None:
        self._front_end.agent_track(publication.sid)
        self._front_end.state("initializing")
        self._waterfall.mark("ready")
        steps = dict(self._waterfall.steps)
        self._write(lambda session, now: became_ready(session, now=now, steps=steps, **self._fence))
        self._log("ready", attempt=self._session.attempt)

    def _first_audio(self) -> None:
        self._started()
        self._waterfall.mark("first_audio")
        steps = {"first_audio": self._waterfall.steps["first_audio"]}
        self._write(lambda session, now: progressed(session, steps=steps, **self._fence))

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
        return session.recoveries > 0 and session.caller is not CallerPresence.ABSENT and "first_audio" in session.steps

    async def _resume(self, conversation: Conversation) -> None:
        before = self._before or Restored()
        with contextlib.suppress(StoreUnavailable):
            said = await retry(
                lambda: self._store.transcript(self._session.id), TRANSCRIPT_SECONDS, on=StoreUnavailable
            )
            for utterance in unwritten(before, said, time.time()):
                self._say(utterance)
        self._log("resumed", remembered=self._before is not None, unanswered=before.unanswered)
        await conversation.resume(self._dropped_out, unanswered=before.unanswered)

    async def _bid_farewell(self, publication: rtc.LocalTrackPublication) -> None:
        """Agents were lost again and again in this call: say that it cannot go on, if anybody is there, and end it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await publication.wait_for_subscription()
                await play(self._track, self._warm.apology)
        self.end(ErrorReason.LOST)

    async def _apologise(self) -> None:
        if self._conversation is not None:
            with contextlib.suppress(TimeoutError):
                await self._conversation.apologise(self._warm.apology)
        self.end(ErrorReason.PROVIDER_FAILED)

    async def _wait_for_the_end(self) -> None:
        while self._outcome is None:
            verdict = self._presence.verdict(time.monotonic())
            if verdict is not None:
                self.end(verdict)
                return
            self._moved.clear()
            deadline = self._presence.deadline
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), timeout)

    def _tell_presence(self, caller: CallerPresence) -> None:
        self._moved.set()
        self._write(lambda session, now: caller_moved(session, caller, now=now, **self._fence))

    def _last(self, outcome: Outcome | None) -> Callable[[Session, float], Session]:
        """What is written at the end; without one of its own the call goes on, with another agent."""

        def change(session: Session, now: float) -> Session:
            if outcome is None:
                return lost(session, job=self._ctx.job.id, now=now)
            session.fenced(**self._fence)
            return ended(session, outcome, now) if isinstance(outcome, EndReason) else failed(session, outcome, now)

        return change

    def _write(self, change: Callable[[Session, float], Session]) -> None:
        self._outbox.record(lambda: update(self._store, self._session.id, change))

    def _say(self, utterance: Utterance) -> None:
        self._outbox.record(lambda: self._store.say(self._session.id, utterance, **self._fence))

    def _log(self, event: str, level: str = "info", **facts: Any) -> None:
        self._outbox.record(lambda: self._store.log(self._session.id, event, level=level, **facts))

    async def _live(self) -> None:
        """Show that this agent lives; learn whether another has taken over."""
        while True:
            try:
                await self._store.alive(self._session.id, **self._fence)
            except Stale:
                self._supersede()
                return
            except StoreUnavailable:
                pass  # then nobody judges either
            await asyncio.sleep(ALIVE_SECONDS)

    def _supersede(self) -> None:
        if not self._superseded:
            self._superseded = True
            self._track.close()
            self._ctx.shutdown(reason="superseded")

    def _hold(self, run: Any, name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(run, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("session=%s event=task_failed task=%s why=%s", self._session.id, task.get_name(), error)
            if task.get_name() == "conversation":
                self.end(ErrorReason.PROVIDER_FAILED)
