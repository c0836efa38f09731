"""Sees to it that a caller who is owed an answer hears something in time, whatever happens; conversation.py runs it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessor

from pipeline.talk.answer_wait import AnswerWait, Filler
from pipeline.talk.player import Sink
from pipeline.talk.shared_sink import SharedSink

MOMENT = "One moment, please."
"""Made beforehand in the bundled voice, in a worker's preload: no provider is needed for it."""
POLL_SECONDS = 0.1  # while an answer is owed, and only then


@dataclass(frozen=True, slots=True)
class Fillers:
    """What is heard while an answer is owed.

    Attributes:
        moment: MOMENT as 16-bit mono PCM at OUT_RATE; empty: nothing was made beforehand, and nothing is heard.
        at_work: lets the agent say that a tool is still at work; gives whether it has words for that.
        noticed: told of each filler, for the session's log: its name, and whether nothing of the answer was heard yet.
    """

    moment: bytes
    at_work: Callable[[], Awaitable[bool]]
    noticed: Callable[[Filler, bool], None]


class AnswerDeadline:
    """Follows one conversation from the caller's turn to the end of the answer.

    Args:
        sink: where the call's sound goes.
        bound: seconds of silence after which something is heard.
        fillers: what that is.
    """

    def __init__(self, sink: Sink, bound: float, fillers: Fillers) -> None:
        self.sink = SharedSink(sink, self._heard)
        """Where the pipeline's sound must go."""
        self._wait = AnswerWait(bound)
        self._fillers = fillers
        self._owed = asyncio.Event()
        self._answering = self._unheard = self._open = self._caller_speaks = False
        self._tool_runs: Callable[[], bool] = lambda: False

    def since(self) -> float:
        """Since when (time.monotonic) the caller has heard nothing of its answer."""
        return self._wait.since

    def watch(self, llm: FrameProcessor, assistant: FrameProcessor, tool_runs: Callable[[], bool]) -> None:
        """Follow the frames at the LLM, and at the end of the pipeline; `tool_runs`: whether a tool is at work."""
        self._tool_runs = tool_runs

        async def at_llm(_: FrameProcessor, frame: Frame) -> None:
            self._at_llm(frame)

        async def at_end(_: FrameProcessor, frame: Frame) -> None:
            if isinstance(frame, LLMFullResponseEndFrame) and not self._answering:
                self._unheard = False
                self._open = tool_runs()

        llm.add_event_handler("on_before_process_frame", at_llm)
        assistant.add_event_handler("on_after_process_frame", at_end)

    def answered(self) -> None:
        """The LLM's answer has come to its end, and is still to be heard."""
        self._answering = False

    async def step(self) -> None:
        """Watch for a moment, once an answer is owed; to be repeated for as long as the conversation runs."""
        if not self._pending:
            self._owed.clear()
            await self._owed.wait()
        tool = self._tool_runs()
        due, filler = self._wait.next(tool=tool)
        if self._caller_speaks or (rest := due - time.monotonic()) > 0:
            await asyncio.sleep(POLL_SECONDS if self._caller_speaks else min(rest, POLL_SECONDS))
            return
        if filler is Filler.AT_WORK and await self._fillers.at_work():
            self._wait.filled(time.monotonic(), 0.0, filler, tool=True)
            self._fillers.noticed(filler, self._wait.mute)
            return
        mute = self._wait.mute
        played = await self.sink.interject(self._fillers.moment)
        self._fillers.noticed(Filler.MOMENT, mute)
        now = time.monotonic()
        self._wait.filled(now, now + played, Filler.MOMENT, tool=tool)

    @property
    def _pending(self) -> bool:
        return self._answering or self._unheard or self._tool_runs()

    def _at_llm(self, frame: Frame) -> None:
        if isinstance(frame, LLMContextFrame):
            self._wait.asked(time.monotonic(), waiting=self._open)
            self._answering = self._unheard = self._open = True
            self._owed.set()
        elif isinstance(frame, InterruptionFrame):
            self._answering = self._unheard = self._open = False
        elif isinstance(frame, UserStartedSpeakingFrame):
            self._caller_speaks = True
            self._wait.turn_begins()
        elif isinstance(frame, UserStoppedSpeakingFrame):
            self._caller_speaks = False
            self._wait.turn_ends(time.monotonic())

    def _heard(self, queued: float) -> None:
        self._wait.heard(time.monotonic() + queued)
