"""The rules as a Pipecat LLM service, for calls without a key: it streams and calls tools as a model does."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime
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
from pipecat.utils.types import is_given

from pipeline.local.brain_settings import without_model
from pipeline.local.rule_brain.rules import Reply, reply
from pipeline.local.rule_brain.tool_use import ToolSpec

REPLY_SECONDS = 2.0  # for the rules; they take some milliseconds, and up to 0.7 s for a long first message
TOO_LONG = Reply("Sorry, that was too much for me at once.")


logger = logging.getLogger(__name__)


def local_now() -> datetime:
    """The time where this process runs."""
    return datetime.now().astimezone()


def offered(context: LLMContext) -> list[ToolSpec]:
    """The tools that a context offers, in the form the rules know."""
    if not is_given(context.tools):
        return []
    return [ToolSpec(tool.name, tool.properties, tuple(tool.required)) for tool in context.tools.standard_tools]


def fresh_id(context: LLMContext) -> str:
    """A name that no call in the context has; counting alone would repeat one once old messages were dropped."""
    messages: list[Mapping[str, Any]] = [message for message in context.messages if isinstance(message, Mapping)]
    taken = {call["id"] for message in messages for call in message.get("tool_calls") or []}
    return next(name for at in itertools.count(len(messages)) if (name := f"call_{at}") not in taken)


class RuleBrain(LLMService[Any]):
    """Answers each context by `brain_rules.reply`; remembers nothing that isn't in the context."""

    adapter_class = OpenAILLMAdapter  # Pipecat's own choice, which it would import in the call

    def __init__(self, *, prompt: str | None = None, now: Callable[[], datetime] = local_now) -> None:
        """Args: prompt: what it is told to be; now: the local time, told when no tool tells it."""
        super().__init__(settings=without_model("rules", prompt=prompt))
        self._now = now

    def can_generate_metrics(self) -> bool:
        """Yes: an answer to a context is a request."""
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context; pass every other frame on."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self.start_processing_metrics()
        try:
            await self._answer(frame.context)
        finally:
            await self.stop_processing_metrics()
            await self.push_frame(LLMFullResponseEndFrame())

    async def _answer(self, context: LLMContext) -> None:
        await self.start_ttfb_metrics()
        answer = await self._reply(context)
        await self.stop_ttfb_metrics()
        for token in re.findall(r"\s*\S+", answer.text):
            await self._push_llm_text(token)
            await asyncio.sleep(0)  # an interruption may come between two tokens
        if answer.call:
            call = FunctionCallFromLLM(
                context=context,
                tool_call_id=fresh_id(context),
                function_name=answer.call.name,
                arguments=answer.call.arguments,
            )
            await self.run_function_calls([call])

    async def _reply(self, context: LLMContext) -> Reply:
        """The rules' answer, worked out beside the loop, which carries the call's sound."""
        prompt = self._settings.system_instruction
        messages = [message for message in context.messages if isinstance(message, Mapping)]
        told = prompt if isinstance(prompt, str) else ""
        working = asyncio.to_thread(reply, messages, offered(context), self._now(), told)
        try:
            return await asyncio.wait_for(working, REPLY_SECONDS)
        except TimeoutError:
            logger.warning("event=rules_too_slow seconds=%g", REPLY_SECONDS)
            return TOO_LONG
