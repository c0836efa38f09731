"""Takes out what a model writes that is not for the caller: thoughts, tool markup, Markdown; build.py puts it behind
the LLM, so that voice, page and conversation get the same words.
"""

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

from pipeline.fallback.llm import BrokeOffFrame
from pipeline.talk.plain import PlainText

THOUGHTS = ("think", "thinking", "thought", "reasoning")
NAMES = (*THOUGHTS, "tool_call", "tool_calls", "function", "function_call")
MISTRAL = "[TOOL_CALLS]"
_LONGEST_TAG = 200  # characters; a "<" that is followed by more is no tag
_LONGEST_TOKEN = 60  # of a name between "<|" and "|>"
_TAG = "|".join(NAMES)
_BAR = "[|\uff5c]"  # DeepSeek writes the wide one
_MARK = re.compile(
    rf"<(?P<tag>{_TAG})(?:[\s=][^<>]*)?>|</(?P<end>{_TAG})\s*>"
    rf"|<{_BAR}(?P<token>[^<>|\uff5c]{{1,{_LONGEST_TOKEN}}}){_BAR}>|{re.escape(MISTRAL)}",
    re.IGNORECASE,
)
_TOKEN_BEGUN = re.compile(rf"{_BAR}[^<>|\uff5c]{{0,{_LONGEST_TOKEN}}}{_BAR}?")
_TOOLS = re.compile(r"tool|function", re.IGNORECASE)
_TOKEN_END = re.compile(rf"<{_BAR}(?:/|[^<>|\uff5c]*?(?:end|eot|eom))[^<>|\uff5c]*{_BAR}>", re.IGNORECASE)
# OpenAI's open models write <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...
_CHANNEL_END = re.compile(r"final[^<]*<\|message\|>|<\|(?:end|call|return)\|>", re.IGNORECASE)
_THOUGHT_END = re.compile(rf"</(?:{'|'.join(THOUGHTS)})\s*>", re.IGNORECASE)


class SpokenText:
    """One answer's text as it streams in; gives what is for the caller. Linear in the text.

    Args:
        begins_with_thought: The model has ended a thought before that it had not begun, so this answer begins with
            one: nothing is given until it ends.
    """

    def __init__(self, *, begins_with_thought: bool = False) -> None:
        self._held = ""
        self._closing: re.Pattern[str] | None = None
        self._in_first_thought, self._searched = begins_with_thought, 0
        self._given = False
        self.retracts = False
        """What was given before was a thought: its end has come, and there had been no beginning."""

    def feed(self, text: str) -> str:
        """The words for the caller among these and those held back before; what may be the beginning of a tag waits."""
        self._held += text
        self.retracts = False
        if self._in_first_thought and not self._end_of_first_thought():
            return ""
        spoken = "".join(self._pieces())
        self._given = self._given or bool(spoken)
        return spoken

    def end(self) -> str:
        """The answer is over: what was held back and became no tag."""
        rest = "" if self._closing is not None or self._in_first_thought else self._held
        self._held, self._closing = "", None
        return rest

    def _end_of_first_thought(self) -> bool:
        end = _THOUGHT_END.search(self._held, self._searched)
        self._searched = max(0, len(self._held) - _LONGEST_TAG)
        if end is not None:
            self._held, self._in_first_thought = self._held[end.end() :], False
        return end is not None

    def _pieces(self) -> list[str]:
        spoken = list[str]()
        while True:
            if self._closing is not None:
                end = self._closing.search(self._held)
                if end is None:
                    self._held = self._held[-_LONGEST_TAG:]
                    return spoken
                self._held, self._closing = self._held[end.end() :], None
            mark = _MARK.search(self._held)
            if mark is None:
                whole = _whole(self._held)
                spoken.append(self._held[:whole])
                self._held = self._held[whole:]
                return spoken
            spoken.append(self._held[: mark.start()])
            self._held = self._held[mark.end() :]
            if mark["end"] and mark["end"].lower() in THOUGHTS:
                spoken.clear()
                self.retracts, self._given = self.retracts or self._given, False
            self._closing = _closing(mark)


def _closing(mark: re.Match[str]) -> re.Pattern[str] | None:
    """What ends that which this mark begins; None if it begins nothing."""
    if mark["tag"]:
        return re.compile(rf"</{mark['tag']}\s*>", re.IGNORECASE)
    if mark["end"]:
        return None
    if mark["token"] is None:
        return re.compile(re.escape("[/TOOL_CALLS]"))
    if mark["token"] in ("channel", "start"):
        return _CHANNEL_END
    begins = _TOOLS.search(mark["token"]) and not _TOKEN_END.fullmatch(mark[0])
    return _TOKEN_END if begins or mark["token"] == "python_tag" else None


def _whole(text: str) -> int:
    """How much of the text can't be the beginning of a mark."""
    at = text.rfind("[")
    if at >= 0 and MISTRAL.startswith(text[at:].upper()):
        return at
    at = text.rfind("<")
    if at < 0 or ">" in text[at:] or len(text) - at > _LONGEST_TAG:
        return len(text)
    begun = text[at + 1 :].lower()
    if _TOKEN_BEGUN.fullmatch(begun):
        return at
    begun = begun.removeprefix("/")
    name = re.split(r"[\s=]", begun, maxsplit=1)[0]
    possible = begun == name and any(each.startswith(name) for each in NAMES)
    return at if possible or (begun != name and name in NAMES) else len(text)


def for_the_caller(text: str) -> str:
    """What of a whole text is for the caller."""
    spoken = SpokenText()
    return spoken.feed(text) + spoken.end()


class Unspoken(FrameProcessor):
    """Stands behind the LLM and lets pass what is for the caller."""

    def __init__(self) -> None:
        super().__init__()
        self._thinks_first = False
        self._begin()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on; of the LLM's text only what is to be heard."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame) and direction is FrameDirection.DOWNSTREAM:
            await self._hear(frame.text)
            return
        if isinstance(frame, LLMFullResponseEndFrame):
            await self._say(self._plain.feed(self._text.end()) + self._plain.end())
        elif isinstance(frame, LLMFullResponseStartFrame | InterruptionFrame | BrokeOffFrame):
            self._begin()
        await self.push_frame(frame, direction)

    def _begin(self) -> None:
        self._text, self._plain = SpokenText(begins_with_thought=self._thinks_first), PlainText()

    async def _hear(self, written: str) -> None:
        text = self._text.feed(written)
        if self._text.retracts:
            self._thinks_first, self._plain = True, PlainText()
            # Voice, page and conversation let go of the thought as of a sentence that is cut off.
            await self.push_frame(InterruptionFrame())
            await self.push_frame(LLMFullResponseStartFrame())
        await self._say(self._plain.feed(text))

    async def _say(self, text: str) -> None:
        if text:
            await self.push_frame(LLMTextFrame(text))
