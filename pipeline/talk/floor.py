"""Gives the caller the turn when there are words to answer, and only then; build.py puts it before the user's context.

The agent falls silent at any voice (player.py). That alone costs nothing: LLM, tools and speech go on behind it. The
first words of a turn interrupt them. A turn that ends without words leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMMessagesAppendFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipeline.frames import NoWordsFrame
from pipeline.talk.back_channel import is_back_channel
from pipeline.talk.heard import SpokenOver

Send = Callable[[Frame], Awaitable[None]]


async def at_once(send: Send) -> None:
    """Interrupt, and wait for nothing."""
    await send(InterruptionFrame())


class Floor(FrameProcessor):
    """Lets the words of the caller interrupt the agent, but not those of a listener.

    Args:
        spoken_over: What the agent was at when the caller began to speak.

    Attributes:
        interrupt: Sends an interruption and returns when what was heard of the agent is in the conversation: the
            caller's words come after it.
    """

    def __init__(self, spoken_over: Callable[[], SpokenOver]) -> None:
        super().__init__()
        self._spoken_over = spoken_over
        self._taken = False
        self.interrupt: Callable[[Send], Awaitable[None]] = at_once

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on; an interruption before the first words of a turn, and no back-channel."""
        await super().process_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame):
            self._taken = False
        elif isinstance(frame, TranscriptionFrame) and frame.text.strip() and not self._taken:
            over = self._spoken_over()
            if over.speaking and is_back_channel(frame.text, asked=over.asked):
                await self.push_frame(NoWordsFrame())
                return
            self._taken = True
            # Downstream alone: it empties the queues it passes, and there may be more words in those behind us.
            await self.interrupt(self.push_frame)
        await self.push_frame(frame, direction)


class TurnWords:
    """Knows whether a turn of the caller ended without interrupting anything; fed with the frames of one place."""

    def __init__(self) -> None:
        self._taken = False

    def ends_wordless(self, frame: Frame) -> bool:
        """Whether this frame ends a turn of the caller that interrupted nothing."""
        if isinstance(frame, UserStartedSpeakingFrame):
            self._taken = False
        elif isinstance(frame, InterruptionFrame):
            self._taken = True
        return isinstance(frame, UserStoppedSpeakingFrame) and not self._taken


def reminder() -> LLMMessagesAppendFrame:
    """What makes Pipecat's assistant context ask the LLM now, if it put that off while the caller seemed to speak."""
    return LLMMessagesAppendFrame(messages=[], run_llm=False)
