"""One conversation from greeting to goodbye: runs the pipeline and tells a `Listener` what happens in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMMessagesAppendFrame,
    LLMRunFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_response_universal import (
    AssistantTurnStoppedMessage,
    LLMAssistantAggregator,
    LLMUserAggregator,
    UserTurnMessageAddedMessage,
    UserTurnStoppedMessage,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.workers.runner import WorkerRunner

from pipeline.agents.definition import ResolvedAgent
from pipeline.agents.tools import Call, register_tools, tools_schema
from pipeline.fallback.candidates import Candidate, Circuits, Fallback, OwnCircuits
from pipeline.fallback.llm import FallbackLLM, Hooks
from pipeline.resume.checkpoint import Checkpoint
from pipeline.resume.journal import Journal
from pipeline.resume.restore import Restored, settled, tries
from pipeline.settings import PipelineSettings
from pipeline.talk.answer_deadline import MOMENT, AnswerDeadline, Fillers
from pipeline.talk.answer_wait import Filler
from pipeline.talk.audio_ends import ASIDE, IN_RATE, OUT_RATE, AudioInput, AudioOutput
from pipeline.talk.before_llm import BeforeLLM
from pipeline.talk.build import Analyzers, Parts, build
from pipeline.talk.floor import TurnWords, reminder
from pipeline.talk.loopback import Loopback
from pipeline.talk.parting import Parting, Step
from pipeline.talk.player import Sink
from pipeline.talk.sentences import Sentences
from pipeline.talk.services import Services, make_brain, make_services
from pipeline.talk.shared_sink import play
from pipeline.talk.turn_observer import Listener, TurnObserver
from pipeline.talk.typed import Typed, TypedFrame
from pipeline.talk.unspoken import for_the_caller
from pipeline.talk.voice_limits import tell_limits
from runtime.background import Background, keep_going, report

REPEATED_SECONDS = 30.0  # two errors of a provider within this time are a failure, one alone is a hiccup
INTERRUPTION_SECONDS = 0.5  # for an interruption to silence the agent; it takes some milliseconds
APOLOGY_QUEUE_SECONDS = 6.0  # the longest an apology may take to be played

# After these the checkpoint is another: what the caller says, and what the agent has said or done.
CALLER_FRAMES = (TranscriptionFrame, LLMMessagesAppendFrame)
AGENT_FRAMES = (
    TTSTextFrame,
    InterruptionFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    FunctionCallCancelFrame,
)


@dataclass(slots=True)
class Failures:
    """Decides when a provider's errors have become its failure; time in seconds comes with each error."""

    last: float | None = None

    def give_up(self, *, permanent: bool, now: float) -> bool:
        """Whether the call must end: the error will recur, or is the second within REPEATED_SECONDS."""
        repeated = self.last is not None and now - self.last < REPEATED_SECONDS
        self.last = now
        return permanent or repeated


class Keep(Protocol):
    """Keeps a checkpoint where the next agent finds it."""

    async def __call__(self, checkpoint: Checkpoint, *, for_tool: bool) -> None:
        """Keep it; returns when it is kept, or when waiting any longer would cost the caller too much."""


class Conversation:
    """A pipeline made for one agent and one caller.

    Make it inside the call's event loop; `run` it until `stop`. The caller's sound goes in through `microphone`, typed
    words through `answer`; the agent's sound comes out at the sink, and all that happens is told to the listener.

    Args:
        agent: who talks.
        settings: the deployment's.
        analyzers: the listening models.
        sink: where the agent's sound goes.
        listener: told what happens; `conversation_changed` when `checkpoint` has something new.
        session_id: for the agent's tools.
        restored: where another agent left off; then `resume` it instead of greeting.
        keep: awaited with the checkpoint before the LLM runs, and before a tool does that must not run twice; must
            bound its own time, and not raise. Told whether it is for a tool.
        moment: MOMENT of answer_deadline.py, as 16-bit mono PCM at OUT_RATE; empty: it is never heard.
        services: what it hears, thinks and speaks with; None: what the agent has chosen.
        circuits: which providers are left alone; None: those that fail in this conversation.
    """

    def __init__(
        self,
        agent: ResolvedAgent,
        settings: PipelineSettings,
        analyzers: Analyzers,
        *,
        sink: Sink,
        listener: Listener,
        session_id: str,
        restored: Restored | None = None,
        keep: Keep | None = None,
        moment: bytes = b"",
        services: Services | None = None,
        circuits: Circuits | None = None,
    ) -> None:
        self._agent, self._listener, self._keep = agent, listener, keep
        self.loopback = Loopback(sink, OUT_RATE, IN_RATE, time.monotonic)
        fillers = Fillers(moment, self._at_work, self._filled)
        self._deadline = AnswerDeadline(self.loopback, settings.answer_seconds, fillers)
        self._sink = self._deadline.sink
        begins = restored or Restored()
        self._begins_with, self._parting = begins, Parting(agreed=begins.leaving)
        self._failures, self._tasks = Failures(), Background(session_id)
        self._runner: WorkerRunner | None = None
        self._started = asyncio.Event()
        self.microphone = AudioInput()
        self.speaker = AudioOutput(self._sink, self._begins, self._said_aside)
        self.loopback.playing = self.speaker.playing
        call = self.call = Call(session_id=session_id, agent=agent.name, end=self._leave)
        self._circuits = circuits or OwnCircuits()
        made = services or make_services(agent, settings, self._circuits, owner=session_id, noticed=listener.noticed)
        self._journal = Journal(listener.conversation_changed, self._before_tool)
        self._llm = self._make_brain(made.llm, settings)
        extra = agent.extra_processors(call)
        parts = Parts(
            microphone=self.microphone,
            stt=made.stt,
            loopback=self.loopback,
            not_understood=agent.not_understood,
            llm_inputs=extra.before_llm,
            before_llm=BeforeLLM(self._before_llm),
            llm=self._llm,
            tts_inputs=[*extra.before_tts, Sentences(agent.language, settings.answer_seconds, self._deadline.since)],
            tts=made.tts,
            speaker=self.speaker,
        )
        self._owner, self._own_processors = session_id, (*extra.before_llm, *extra.before_tts)
        self._built = build(
            parts,
            analyzers,
            settings,
            messages=begins.messages,
            tools=tools_schema(agent.tools),
            observers=[TurnObserver(listener)],
        )
        self._watch()
        self._watch_for_changes()
        self._typed = Typed(self._built.worker, self._built.aggregators, listener)
        self._built.floor.interrupt = self._typed.interrupt
        self._deadline.watch(self._llm, self._built.aggregators.assistant(), self.tools_run)

    async def run(self) -> None:
        """Run the pipeline until `stop` is called or it ends by itself."""
        self._runner = WorkerRunner(handle_sigint=False, check_dangling_tasks=False)
        await self._runner.add_workers(self._built.worker)
        self._tasks.start(keep_going(self._deadline.step, "answer deadline", owner=self._owner), "answer deadline")
        await self._runner.run()

    async def started(self) -> None:
        """Wait until the pipeline runs."""
        await self._started.wait()

    async def greet(self) -> None:
        """Say the greeting; an agent that has none waits for the caller."""
        if self._agent.greeting:
            await self.say(self._agent.greeting)

    async def resume(self, sentence: str, *, unanswered: bool) -> None:
        """Go on where another agent was lost.

        Args:
            sentence: Said first, and no part of the conversation; nothing if it is empty.
            unanswered: As in `Restored`: the LLM answers what the conversation ends with.
        """
        if self._parting.agreed and not unanswered:
            self._listener.wants_to_end()  # the goodbye has been heard
            return
        if sentence:
            await self._built.worker.queue_frame(TTSSpeakFrame(sentence, append_to_context=False, text_type=ASIDE))
        if unanswered:
            await self._built.worker.queue_frame(LLMRunFrame())
        elif not self._built.context.messages:
            await self.greet()

    def checkpoint(self) -> Checkpoint:
        """The conversation as it stands; takes less than a millisecond."""
        # Copied, as Pipecat fills in a tool's result where the call was written down.
        messages = tuple(dict(message) for message in self._built.context.messages if isinstance(message, Mapping))
        self._journal.settle(settled(messages))
        aggregators = self._built.aggregators
        spoken = (aggregators.assistant().aggregation_string(), self.speaker.words_heard())
        pending = aggregators.user().aggregation_string()
        return Checkpoint(
            messages=messages,
            pending=pending,
            tried=tries(self._begins_with, messages, pending),
            speaking=" ".join(filter(None, spoken)),
            journal=self._journal.open(),
            leaving=self._parting.agreed,
        )

    async def say(self, text: str) -> None:
        """Speak these words; they become part of the conversation."""
        await self._built.worker.queue_frame(TTSSpeakFrame(text))

    async def ask_if_there(self) -> None:
        """Ask a caller who is silent whether it is still there."""
        await self.say(self._agent.still_there)

    def tools_run(self) -> bool:
        """Whether a tool is at work."""
        return self._journal.running()

    async def answer(self, text: str) -> None:
        """Take words that the caller typed: they interrupt the agent as spoken ones do, and are answered."""
        await self._typed.answer(text)

    async def hush(self) -> None:
        """Fall silent: nobody is there to listen."""
        await self._typed.interrupt()

    async def apologise(self, pcm: bytes) -> None:
        """Play a sentence that was made beforehand (16-bit mono PCM at OUT_RATE), whatever the providers do."""
        self.speaker.interrupted.clear()
        await self._built.worker.queue_frame(InterruptionFrame())
        with suppress(TimeoutError):  # a pipeline that stands still interrupts nothing, and must not cost the sentence
            async with asyncio.timeout(INTERRUPTION_SECONDS):
                await self.speaker.interrupted.wait()  # or it would take the sentence's beginning
        async with asyncio.timeout(APOLOGY_QUEUE_SECONDS):
            await play(self._sink, pcm)

    async def stop(self) -> None:
        """Stop the pipeline at once."""
        self._tasks.cancel()
        if self._runner is not None:
            await self._runner.cancel("the call is over")

    async def _leave(self) -> None:
        self._parting.agree()

    def _caller_spoke(self) -> None:
        """The conversation goes on: without the tools that were stopped, and without the end that was agreed."""
        self._journal.caller_spoke()
        self._parting.caller_spoke()

    async def _before_tool(self) -> None:
        if self._keep is not None:
            await self._keep(self.checkpoint(), for_tool=True)

    async def _before_llm(self) -> None:
        self._parting.llm_is_asked()
        if self._keep is not None:
            await self._keep(self.checkpoint(), for_tool=False)

    def _begins(self, sentence: str) -> None:
        self._listener.agent_sentence(sentence)
        self._listener.conversation_changed()

    def _said_aside(self, words: str, cut_off: bool) -> None:
        self._listener.agent_said(words, interrupted=cut_off)

    def _watch(self) -> None:
        aggregators, worker, listener = self._built.aggregators, self._built.worker, self._listener

        async def user_turn(_: LLMUserAggregator, __: object, message: UserTurnStoppedMessage) -> None:
            if message.content:
                listener.user_said(message.content)

        async def agent_turn(_: LLMAssistantAggregator, message: AssistantTurnStoppedMessage) -> None:
            listener.agent_said(message.content, interrupted=message.interrupted)
            listener.conversation_changed()
            step = self._parting.turn_over(words=bool(message.content), interrupted=message.interrupted)
            if step is Step.END:
                listener.wants_to_end()
            elif step is Step.SAY_GOODBYE:
                await self.say(self._agent.goodbye)

        async def started(_: PipelineWorker, __: object) -> None:
            self._started.set()

        async def failed(_: PipelineWorker, frame: ErrorFrame) -> None:
            await self._on_error(frame)

        aggregators.user().add_event_handler("on_user_turn_stopped", user_turn)
        aggregators.assistant().add_event_handler("on_assistant_turn_stopped", agent_turn)
        worker.add_event_handler("on_pipeline_started", started)
        worker.add_event_handler("on_pipeline_error", failed)

    def _watch_for_changes(self) -> None:
        aggregators, listener = self._built.aggregators, self._listener

        async def caller(_: FrameProcessor, frame: Frame) -> None:
            if isinstance(frame, TypedFrame):
                self._caller_spoke()
            if isinstance(frame, CALLER_FRAMES):
                listener.conversation_changed()
            if isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame):  # its page has what it typed already
                listener.user_words(frame.text, final=not isinstance(frame, InterimTranscriptionFrame))

        turn = TurnWords()

        async def agent(assistant: FrameProcessor, frame: Frame) -> None:
            if turn.ends_wordless(frame):
                await assistant.queue_frame(reminder())
            self._parting.passes(frame)
            tell_limits(self._built.context, frame)
            if isinstance(frame, AGENT_FRAMES):
                listener.conversation_changed()

        async def spoke(_: LLMUserAggregator, __: UserTurnMessageAddedMessage) -> None:
            self._caller_spoke()
            listener.conversation_changed()

        aggregators.user().add_event_handler("on_after_process_frame", caller)
        aggregators.user().add_event_handler("on_user_turn_message_added", spoke)
        aggregators.assistant().add_event_handler("on_after_process_frame", agent)

    async def _on_error(self, frame: ErrorFrame) -> None:
        source = frame.processor
        permanent = frame.fatal or (source is not None and not source.is_usable)
        name = type(source).__name__ if source is not None else "pipeline"
        own = source in self._own_processors
        error = report(self._owner, name, frame.exception) if own and frame.exception is not None else None
        if isinstance(source, Fallback) and source.used_up:
            self._listener.provider_failed(source.failed, permanent=source.permanent)
        elif self._failures.give_up(permanent=permanent, now=time.monotonic()):
            if own:
                self._listener.agent_failed(error.where if error is not None else name)
            else:
                self._listener.provider_failed(name, permanent=permanent)

    def _make_brain(self, llms: Sequence[Candidate[LLMService[Any]]], settings: PipelineSettings) -> FallbackLLM:
        def equip(llm: LLMService[Any]) -> None:
            register_tools(llm, self._agent.tools, self.call, self._journal, timeout=settings.tool_timeout)

        hooks = Hooks(
            since=self._deadline.since,
            words=for_the_caller,
            answered=self._deadline.answered,
            leaving=lambda: self._parting.agreed,
            noticed=self._listener.noticed,
        )
        return make_brain(llms, self._circuits, self._agent, settings, hooks, equip=equip)

    async def _at_work(self) -> bool:
        """Say that a tool is still at work; whether the agent has words for it."""
        if self._agent.waiting:
            frame = TTSSpeakFrame(self._agent.waiting, append_to_context=False, text_type=ASIDE)
            await self._built.worker.queue_frame(frame)
        return bool(self._agent.waiting)

    def _filled(self, filler: Filler, first: bool) -> None:
        self._listener.noticed("answer_late", {"said": filler.value})
        if filler is Filler.MOMENT and first:
            self._listener.agent_said(MOMENT, interrupted=False)
