"""Hands the LLM's words to the voice by sentences, a slow sentence in parts; conversation.py puts it before the TTS.

Pipecat's voices collect sentences themselves; what they have collected of an answer that broke off can't be taken back.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType
from pipecat.utils.text.simple_text_aggregator import SimpleTextAggregator

from pipeline.fallback.answer import audible
from pipeline.fallback.llm import BrokeOffFrame

NEAR_SHARE = 0.6  # of the longest silence; after that a sentence that isn't whole is spoken as far as it goes
HELD_SECONDS = 1.0  # that it has to become whole: words may come fast after a long wait
_CLAUSE = re.compile(r"[,;:–—](?=\s)")


def begun(text: str) -> tuple[str, str]:
    """What can be spoken of a sentence that isn't whole, and the rest: up to its last comma, or its last whole word."""
    marks = [match.end() for match in _CLAUSE.finditer(text)]
    at = marks[-1] if marks else max(text.rfind(" "), text.rfind("\n"))
    return (text[:at].strip(), text[at:]) if at > 0 else ("", text)


class Sentences(FrameProcessor):
    """Turns streamed text into sentences.

    Args:
        language: BCP 47 tag of what is spoken.
        bound: seconds of silence that a caller is to hear at most.
        since: since when the caller has heard nothing; in the future while it hears the agent.
        now: the time, in seconds of the same clock.
    """

    def __init__(
        self, language: str, bound: float, since: Callable[[], float], now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._collected = SimpleTextAggregator(language=language)  # type: ignore[no-untyped-call]
        self._raw = ""
        self._near, self._since, self._now = bound * NEAR_SHARE, since, now
        self._spoken: list[str] = []
        self._said = self._begun = 0.0  # when the last sentence went to the voice; when this one began

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on; the LLM's text as sentences."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM and isinstance(frame, LLMTextFrame) and not frame.skip_tts:
            await self._take(frame.text)
            return
        if isinstance(frame, BrokeOffFrame):
            await self._forget()
            if not frame.spoken.done():
                frame.spoken.set_result(" ".join(self._spoken))
            return
        if isinstance(frame, LLMFullResponseEndFrame):
            rest = await self._collected.flush()
            if rest is not None:
                await self._say(rest.text)
            self._raw = ""
        elif isinstance(frame, LLMFullResponseStartFrame | InterruptionFrame):
            await self._forget()
            self._spoken = []
        await self.push_frame(frame, direction)

    async def _take(self, text: str) -> None:
        now = self._now()
        self._begun = self._begun if self._raw else now
        self._raw += text
        async for sentence in self._collected.aggregate(text):
            await self._say(sentence.text)
            self._raw, self._begun = "", now
        self._raw = self._raw or self._collected.text.text
        if now - max(self._since(), self._said) >= self._near and now - self._begun >= HELD_SECONDS:
            part, rest = begun(self._raw)
            if audible(part):
                await self._say(part)
                await self._forget()
                self._raw, self._begun = rest.lstrip(), now
                async for _ in self._collected.aggregate(self._raw):
                    pass  # a clause that was no sentence before is none without its beginning

    async def _say(self, text: str) -> None:
        if text.strip():
            self._spoken.append(text.strip())
            self._said = self._now()
            await self.push_frame(AggregatedTextFrame(text, TextType.SENTENCE, raw_text=text))

    async def _forget(self) -> None:
        await self._collected.reset()  # type: ignore[no-untyped-call]
        self._raw = ""
