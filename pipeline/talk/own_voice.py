"""Tells the agent's own words, which a loudspeaker gave back to the microphone, from the caller's; not_own.py asks.

An echo says what the agent says, when the agent says it. A caller who repeats the agent ("4 1 5?" - "4 1 5") says the
same later, and a caller who interrupts says something else.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

APART_SECONDS = 0.7  # between a word's playing and its echo: what network, loudspeaker and an estimate of time make up
LATEST_SECONDS = 0.6  # after the agent's last sound: an echo has ended by then
KEPT_SECONDS = 20.0  # how long what was played is remembered: longer than a piece that is transcribed at once
ENOUGH = 0.7  # of the letters of what was heard must be the agent's; a model hears an echo badly
ALIKE = 0.75  # of two words' letters, in order: "hell" is "help"
SHORTEST_ALIKE = 4  # letters; shorter words must be the same
SHORTEST_PART = 2  # letters that are left of a word which was cut off

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d")
_DIGITS = {
    word: str(digit)
    for digit, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"))
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or a digit, and the second in which its middle is said."""

    text: str
    at: float


@dataclass(slots=True)
class _Playing:
    """One sentence: when how much of it is played (seconds of the clock, seconds of the sentence)."""

    text: str
    total: float = 0.0
    points: list[tuple[float, float]] = field(default_factory=list)


class OwnVoice:
    """Remembers what the agent said when, on any clock that counts seconds; asked about what was heard."""

    def __init__(self) -> None:
        self._sentences: dict[object, _Playing] = {}

    def plays(self, key: object, text: str, *, played: float, total: float, at: float) -> None:
        """Some of a sentence is on its way to the caller.

        Args:
            key: The sentence's own.
            text: All of it.
            played: Seconds of it that will have been played at `at`.
            total: Seconds that the whole takes, as far as is known.
            at: The clock's second.
        """
        sentence = self._sentences.setdefault(key, _Playing(text))
        sentence.total = max(total, played)
        sentence.points.append((at, played))
        self._sentences = {k: s for k, s in self._sentences.items() if s.points[-1][0] > at - KEPT_SECONDS}

    def silenced(self, at: float) -> None:
        """What was to be played after this second of the clock never was."""
        for sentence in self._sentences.values():
            sentence.points = [point for point in sentence.points if point[0] <= at] or sentence.points[:1]

    def said(self, text: str, begin: float, end: float) -> bool:
        """Whether words that were heard are the agent's own.

        Args:
            text: What was understood.
            begin: The clock's second in which the voice was first heard.
            end: The second in which it was last heard.

        Returns:
            True if nearly all of it was being said by the agent, each word in its time.
        """
        heard = list(_timed(words(text), begin, end))
        own = [word for sentence in self._sentences.values() for word in _words_of(sentence)]
        if not heard or not own or end > max(word.at for word in own) + LATEST_SECONDS + APART_SECONDS:
            return False
        return _matched(heard, own) >= ENOUGH * sum(len(word.text) for word in heard)


def words(text: str) -> list[str]:
    """The words of a text as they are compared: lower case, numbers digit by digit ("415", "four one five")."""
    return [_DIGITS.get(word, word) for word in _WORD.findall(text.lower().replace("’", "'"))]


def _timed(texts: Sequence[str], begin: float, end: float) -> Iterator[Word]:
    """Words with their times, if each takes as long as it has letters."""
    whole, before = sum(map(len, texts)), 0
    for text in texts:
        yield Word(text, begin + (end - begin) * (before + len(text) / 2) / whole)
        before += len(text)


def _words_of(sentence: _Playing) -> Iterator[Word]:
    """The words of a sentence that were begun to be played, with the clock's second of each."""
    points = sentence.points
    texts = words(sentence.text)
    letter = sentence.total / max(1, sum(map(len, texts)))  # seconds
    for word in _timed(texts, 0.0, sentence.total):
        begin = word.at - letter * len(word.text) / 2
        after = next((point for point in points if point[1] >= begin), None)
        if after is not None:
            yield Word(word.text, after[0] + word.at - after[1])


def _matched(heard: Sequence[Word], own: Sequence[Word]) -> int:
    """How many letters of what was heard were said by the agent, in the same order and at the same time."""
    best = [0] * (len(own) + 1)  # by how many of the agent's words were looked at
    for index, word in enumerate(heard):
        above, best = best, [0]
        for j, other in enumerate(own):
            same = abs(word.at - other.at) <= APART_SECONDS and _alike(
                word.text, other.text, first=index == 0, last=index == len(heard) - 1
            )
            best.append(max(above[j + 1], best[j], above[j] + (len(word.text) if same else 0)))
    return best[-1]


def _alike(heard: str, own: str, *, first: bool, last: bool) -> bool:
    """Whether one may be the other as it was heard: badly, or without its beginning or end where a voice was cut."""
    if heard == own:
        return True
    if len(heard) >= SHORTEST_PART and ((first and own.endswith(heard)) or (last and own.startswith(heard))):
        return True
    return (
        min(len(heard), len(own)) >= SHORTEST_ALIKE
        and difflib.SequenceMatcher(None, heard, own, autojunk=False).ratio() >= ALIKE
    )
