"""Puts the two sides of a conversation together from pieces of text that change; caller.py feeds it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Speaker = Literal["user", "agent"]


@dataclass(frozen=True)
class TranscriptLine:
    """One thing that was said.

    Attributes:
        segment: The sender's name for it; pieces and corrections of the same thing carry the same.
        speaker: Who said it.
        text: All of it that is known.
        final: Whether it will not change any more.
        at: When its first piece came, `time.monotonic()` in seconds.
    """

    segment: str
    speaker: Speaker
    text: str
    final: bool
    at: float


class Transcript:
    """What was said so far, in the order in which it began."""

    def __init__(self) -> None:
        self._lines: dict[tuple[Speaker, str], TranscriptLine] = {}

    def update(self, speaker: Speaker, segment: str, text: str, *, final: bool, at: float) -> TranscriptLine:
        """Take `text` as all that is known of `segment`, in place of what was known before; the line as it is now.

        What is final is only replaced by something final: a late partial result is ignored. A final one without a text
        takes back what was announced: an agent that was interrupted before it was heard.
        """
        text = text.strip()
        key = (speaker, segment)
        known = self._lines.get(key)
        if known is None:
            line = TranscriptLine(segment, speaker, text, final, at)
        elif known.final and not final:
            return known
        else:
            line = replace(known, text=text, final=final)
        self._lines[key] = line
        return line

    @property
    def lines(self) -> list[TranscriptLine]:
        """Everything with a text."""
        return [line for line in self._lines.values() if line.text]

    def said(self, speaker: Speaker, *, since: float = 0.0) -> str:
        """All that `speaker` said in lines that began at `since` or later."""
        return " ".join(line.text for line in self.lines if line.speaker == speaker and line.at >= since)


def contains(text: str, word: str) -> bool:
    """Whether `word` (or a phrase) stands in `text` by itself, whatever the case and the punctuation."""
    wanted = _plain(word)
    return bool(wanted) and f" {wanted} " in f" {_plain(text)} "


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
