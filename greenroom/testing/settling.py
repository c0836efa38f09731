"""A conversation of which can be told when nothing is under way in it any more; text.py holds it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import (
    ControlFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import LLMService

from greenroom.testing.stand_ins import NoEars, NoSpeaker, SilentVoice, no_analyzers
from pipeline.agents.definition import ResolvedAgent
from pipeline.fallback.candidates import Candidate
from pipeline.settings import PipelineSettings
from pipeline.talk.conversation import Conversation
from pipeline.talk.services import Services
from pipeline.talk.turn_observer import Listener

POLL_SECONDS = 0.0005  # a rule's answer takes 3 ms in all
QUIET_ROUNDS = 2  # a tool that was just asked for may begin behind the first round
TOOL_SECONDS = 1.0  # after which a caller says something over a tool's silence
RUNNING = "IN_PROGRESS"  # what Pipecat writes in place of a result


class NotSettled(Exception):
    """The agent was not done in time.

    Args:
        seconds: How long it had.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the agent was not done after {seconds:g} s")


@dataclass
class DownFrame(ControlFrame):
    """Goes down the whole pipeline: what was on its way before it has arrived when it does."""

    interruptible: bool = field(default=False, init=False)


@dataclass
class UpFrame(ControlFrame):
    """Likewise back up."""

    interruptible: bool = field(default=False, init=False)


@dataclass(slots=True)
class Activity:
    """What is under way: counted where it begins and where it has come to its end.

    Attributes:
        changes: Grows with whatever happens.
    """

    requests: int = 0
    answers: int = 0
    begun: int = 0
    spoken: int = 0
    changes: int = 0

    def asked(self) -> None:
        """The brain was asked. An answer that came after it was dropped counts for no later request."""
        self.answers = min(self.answers, self.requests)
        self.requests += 1
        self.changes += 1

    def answered(self) -> None:
        """An answer has come to its end."""
        self.answers += 1

    def voiced(self) -> None:
        """The voice was given a piece of text."""
        self.begun += 1
        self.changes += 1

    def interrupted(self) -> None:
        """All that was under way has been dropped."""
        self.answers, self.spoken = self.requests, self.begun
        self.changes += 1

    @property
    def idle(self) -> bool:
        """Whether nothing is under way but tools."""
        return self.requests <= self.answers and self.begun <= self.spoken


class SettlingConversation(Conversation):
    """A conversation without sound. Callers write by `answer`; `settled` tells when the agent is done.

    Args:
        agent: Who talks.
        settings: The deployment's.
        brains: Its LLMs, in order.
        listener: Told what happens.
        session_id: For the agent's tools.
    """

    def __init__(
        self,
        agent: ResolvedAgent,
        settings: PipelineSettings,
        brains: Sequence[Candidate[LLMService[Any]]],
        listener: Listener,
        session_id: str,
    ) -> None:
        self._activity = Activity()
        self._returned = asyncio.Event()
        self._speaker = NoSpeaker()
        super().__init__(
            agent,
            settings,
            no_analyzers(),
            sink=self._speaker,
            listener=listener,
            session_id=session_id,
            services=Services(NoEars(), brains, SilentVoice(self._activity.voiced)),
        )
        self._count()

    @property
    def brains(self) -> list[LLMService[Any]]:
        """Those of its LLMs that were made so far."""
        return self._llm.services

    def messages(self) -> list[Mapping[str, Any]]:
        """The conversation as the brain gets it."""
        return [message for message in self._built.context.messages if isinstance(message, Mapping)]

    async def interrupted(self, words: str, by: str, *, seconds: float) -> None:
        """Write `words`, and `by` when the agent has said half a sentence, or a tool has run for TOOL_SECONDS.

        Args:
            words: The caller's.
            by: The caller's words over the agent's answer.
            seconds: The longest that it may take to begin.

        Raises:
            NotSettled: It took longer.
        """
        self._speaker.hold()
        await self.answer(words)
        deadline, tool_began = time.monotonic() + seconds, None
        while not self._speaker.speaking.is_set():
            now = time.monotonic()
            tool_began = (tool_began or now) if self._tools_run() else None
            if tool_began is not None and now - tool_began > TOOL_SECONDS:
                break
            if now > deadline:
                raise NotSettled(seconds)
            await asyncio.sleep(POLL_SECONDS)
        self._speaker.hold_no_more()
        await self.answer(by)

    async def settled(self, over: Callable[[], bool], *, seconds: float, patience: float) -> None:
        """Return when the agent waits for the caller.

        Args:
            over: Whether the call has ended: then no answer is waited for.
            seconds: The longest it may take.
            patience: Seconds for which something may still come while the caller has no answer.

        Raises:
            NotSettled: It took longer.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._quiet()
                while self._unanswered() and not over() and await self._moves(patience):
                    await self._quiet()
        except TimeoutError:
            raise NotSettled(seconds) from None

    async def _quiet(self) -> None:
        """Return when nothing is under way any more."""
        rounds = 0
        while rounds < QUIET_ROUNDS:
            before = self._activity.changes
            await self._round()
            if self._activity.idle and not self._tools_run():
                rounds = rounds + 1 if before == self._activity.changes else 0
            else:
                rounds = 0
                await asyncio.sleep(POLL_SECONDS)

    async def _moves(self, seconds: float) -> bool:
        """Whether anything begins within this time."""
        before, deadline = self._activity.changes, time.monotonic() + seconds
        while before == self._activity.changes:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    def _tools_run(self) -> bool:
        return any(message.get("content") == RUNNING for message in self.messages())

    def _unanswered(self) -> bool:
        messages = self.messages()
        return bool(messages) and messages[-1].get("role") != "assistant"

    async def _round(self) -> None:
        """Wait until all that is on its way has arrived."""
        self._returned.clear()
        await self._built.worker.queue_frame(DownFrame())
        await self._returned.wait()

    def _count(self) -> None:
        activity, aggregators = self._activity, self._built.aggregators

        async def at_brain(_: FrameProcessor, frame: Frame) -> None:
            if isinstance(frame, LLMContextFrame):
                activity.asked()
            elif isinstance(frame, InterruptionFrame):
                activity.interrupted()

        async def at_end(_: FrameProcessor, frame: Frame) -> None:
            if isinstance(frame, DownFrame):
                await aggregators.assistant().push_frame(UpFrame(), FrameDirection.UPSTREAM)
                return
            activity.changes += 1
            if isinstance(frame, LLMFullResponseEndFrame):
                activity.answered()
            elif isinstance(frame, TTSTextFrame):
                activity.spoken += 1

        async def at_top(_: FrameProcessor, frame: Frame) -> None:
            if isinstance(frame, UpFrame):
                self._returned.set()

        self._llm.add_event_handler("on_before_process_frame", at_brain)
        aggregators.assistant().add_event_handler("on_after_process_frame", at_end)
        aggregators.user().add_event_handler("on_after_process_frame", at_top)
