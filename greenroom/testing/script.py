"""A brain that says what a test wrote down, in place of the agent's LLM; text.py puts it into the conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipecat.adapters.llm.services.open_ai_adapter import OpenAILLMAdapter
from pipecat.frames.frames import (
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.utils.errors import classify_http_status_code

from pipeline.local.brain_settings import without_model


@dataclass(frozen=True)
class ToolRequest:
    """A tool that a scripted brain calls."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An error with which a scripted brain breaks off; `status` is HTTP's, as its provider would answer."""

    status: int


Piece = str | ToolRequest | Failure
Answer = Sequence[Piece]
"""Pieces of one answer, in the order in which a model would stream them."""


def calls(name: str, **arguments: object) -> ToolRequest:
    """A piece of a scripted answer: call this tool.

    Args:
        name: The tool's.
        arguments: What it is called with.
    """
    return ToolRequest(name, arguments)


def fails(status: int) -> Failure:
    """A piece of a scripted answer, the last: the brain fails here.

    Args:
        status: HTTP's, as its provider would answer: 429 for too many requests, 500 for a failure of its own.
    """
    return Failure(status)


def answer(written: Piece | Sequence[Piece]) -> Answer:
    """An answer from what an author wrote for it: one piece, or a list of them."""
    return (written,) if isinstance(written, Piece) else tuple(written)


class ScriptedBrain(LLMService[Any]):
    """Gives one answer after the other, whatever it is asked.

    Args:
        answers: One for each time that the brain is asked.

    Attributes:
        asked: How often it was asked, answered or not.
    """

    adapter_class = OpenAILLMAdapter

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__(settings=without_model("script"))
        self._answers = tuple(answers)
        self.asked = 0

    @property
    def exhausted(self) -> bool:
        """Whether it was asked more often than it has answers."""
        return self.asked > len(self._answers)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context; pass every other frame on."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        self.asked += 1
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            await self._give(() if self.exhausted else self._answers[self.asked - 1], frame.context)
        finally:
            await self.push_frame(LLMFullResponseEndFrame())

    async def _give(self, pieces: Answer, context: LLMContext) -> None:
        requests: list[FunctionCallFromLLM] = []
        for piece in pieces:
            if isinstance(piece, ToolRequest):
                requests.append(
                    FunctionCallFromLLM(
                        context=context,
                        tool_call_id=f"scripted_{self.asked}_{len(requests)}",
                        function_name=piece.name,
                        arguments=dict(piece.arguments),
                    )
                )
            elif isinstance(piece, Failure):
                category = classify_http_status_code(piece.status)
                await self.push_error(f"the script fails with {piece.status}", category=category)
                return
            elif piece:
                await self._push_llm_text(piece)
        await self.run_function_calls(requests)
