"""Takes out what a model writes that is not for the caller: thoughts, tool markup; build.py puts it behind the LLM."""

from __future__ import annotations

import re

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

NAMES = ("think", "thinking", "thought", "reasoning", "tool_call", "tool_calls", "function", "function_call")
_OPENING = re.compile(rf"<({'|'.join(NAMES)})(?:[\s=][^<>]*)?>", re.IGNORECASE)
_LONGEST_TAG = 200  # characters; a "<" that is followed by more is no tag


class SpokenText:
    """One answer's text as it streams in; gives what is for the caller. Linear in the text."""

    def __init__(self) -> None:
        self._held = ""
        self._closing: re.Pattern[str] | None = None

    def feed(self, text: str) -> str:
        """The words for the caller among these and those held back before; what may be the beginning of a tag waits."""
        self._held += text
        spoken = list[str]()
        while True:
            if self._closing is not None:
                end = self._closing.search(self._held)
                if end is None:
                    self._held = self._held[-_LONGEST_TAG:]
                    break
                self._held, self._closing = self._held[end.end() :], None
            begin = _OPENING.search(self._held)
            if begin is None:
                whole = _whole(self._held)
                spoken.append(self._held[:whole])
                self._held = self._held[whole:]
                break
            spoken.append(self._held[: begin.start()])
            self._held = self._held[begin.end() :]
            self._closing = re.compile(rf"</{begin[1]}\s*>", re.IGNORECASE)
        return "".join(spoken)

    def end(self) -> str:
        """The answer is over: what was held back and became no tag."""
        rest = "" if self._closing is not None else self._held
        self._held, self._closing = "", None
        return rest


def _whole(text: str) -> int:
    """How much of the text can't be the beginning of a tag."""
    at = text.rfind("<")
    if at < 0 or ">" in text[at:] or len(text) - at > _LONGEST_TAG:
        return len(text)
    begun = text[at + 1 :].lower()
    name = re.split(r"[\s=]", begun, maxsplit=1)[0]
    possible = begun == name and any(each.startswith(name) for each in NAMES)
    return at if possible or (begun != name and name in NAMES) else len(text)


class Unspoken(FrameProcessor):
    """Stands behind the LLM and lets pass what is for the caller."""

    def __init__(self) -> None:
        super().__init__()
        self._text = SpokenText()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on; of the LLM's text only what is to be heard."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame) and direction is FrameDirection.DOWNSTREAM:
            await self._say(self._text.feed(frame.text))
            return
        if isinstance(frame, LLMFullResponseEndFrame):
            await self._say(self._text.end())
        elif isinstance(frame, LLMFullResponseStartFrame | InterruptionFrame):
            self._text = SpokenText()
        await self.push_frame(frame, direction)

    async def _say(self, text: str) -> None:
        if text:
            await self.push_frame(LLMTextFrame(text))
