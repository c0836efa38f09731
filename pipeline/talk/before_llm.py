"""Lets the call keep the conversation before the LLM answers it; build.py puts it in front of the LLM."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pipecat.frames.frames import Frame, LLMContextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor


class BeforeLLM(FrameProcessor):
    """Stands in front of the LLM. `before` is awaited with each context on its way; must bound its own time."""

    def __init__(self, before: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._before = before

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on; a context only when what comes before it is done."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            await self._before()
        await self.push_frame(frame, direction)
