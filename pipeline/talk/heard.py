"""How much of what the agent says has reached the caller, by pure bookkeeping; audio_ends.py keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.pace import SECONDS_PER_CHARACTER, whole_words

ASKED_SECONDS = 2.0  # after the end of a question, in which what the caller says is its answer


@dataclass(frozen=True, slots=True)
class SpokenOver:
    """What the agent was at when the caller began to speak.

    Attributes:
        speaking: a sentence was being heard, or another was about to follow.
        asked: that sentence is a question, or one had just ended.
    """

    speaking: bool = False
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Playing:
    """The sentence that is being played: seconds of it that were, seconds that the whole takes as far as is known."""

    key: object
    text: str
    played: float
    total: float


@dataclass(slots=True)
class Sentence:
    """One sentence on its way to the caller: seconds of audio made, seconds of it played; an aside is in no turn."""

    key: object
    text: str
    aside: bool = False
    made: float = 0.0
    played: float = 0.0
    complete: bool = False

    @property
    def total(self) -> float:
        """Seconds that it takes, as far as is known."""
        return self.made if self.complete else max(self.made, len(self.text) * SECONDS_PER_CHARACTER)

    @property
    def heard_text(self) -> str:
        """The words that were played, whole words only."""
        total = self.total
        if total <= 0.0 or self.played <= 0.0:
            return ""
        if self.played >= total:
            return self.text
        return whole_words(self.text, self.played / total)


class HeardText:
    """Follows sentences from synthesis to the speaker; told of each step, it knows what an interruption cut off."""

    def __init__(self) -> None:
        self._sentences: list[Sentence] = []
        self._question_ended: float | None = None

    def announce(self, key: object, text: str, *, aside: bool = False) -> None:
        """A sentence will be spoken after those already announced; an aside is no part of the conversation."""
        self._sentences.append(Sentence(key, text, aside))

    def made(self, seconds: float) -> None:
        """So many seconds of audio were synthesised for the newest sentence."""
        if self._sentences:
            self._sentences[-1].made += seconds

    def complete(self, key: object) -> None:
        """All audio of this sentence has been synthesised."""
        for sentence in self._sentences:
            if sentence.key == key:
                sentence.complete = True

    def play(self, seconds: float) -> None:
        """So many seconds were handed to the speaker; a negative number takes back what was discarded unplayed."""
        if seconds < 0:
            _take_back(self._sentences, -seconds)
            return
        for sentence in self._sentences:
            room = sentence.made - sentence.played
            step = min(room, seconds)
            sentence.played += step
            seconds -= step
            if seconds <= 0:
                return

    def playing(self) -> Playing | None:
        """The sentence whose sound comes next to the speaker, if any."""
        for each in self._sentences:
            if each.played < each.made:
                return Playing(each.key, each.text, each.played, each.total)
        return None

    def finished(self, key: object, now: float) -> None:
        """This sentence was heard to its end at `now` (seconds) and is accounted for."""
        if any(sentence.key == key and is_question(sentence.text) for sentence in self._sentences):
            self._question_ended = now
        self._sentences = [sentence for sentence in self._sentences if sentence.key != key]

    def words(self, *, aside: bool = False, unplayed: float = 0.0) -> str:
        """The words heard by now of the sentences that are under way.

        Args:
            aside: of the asides instead.
            unplayed: seconds that the speaker took and has not played yet.
        """
        sentences = [replace(sentence) for sentence in self._sentences]
        _take_back(sentences, unplayed)
        return " ".join(text for sentence in sentences if sentence.aside is aside and (text := sentence.heard_text))

    def spoken_over(self, now: float) -> SpokenOver:
        """What a caller who begins to speak at `now` (seconds) speaks over."""
        speaking = any(sentence.made > 0.0 for sentence in self._sentences)
        asking = any(sentence.played > 0.0 and is_question(sentence.text) for sentence in self._sentences)
        just_asked = self._question_ended is not None and now - self._question_ended <= ASKED_SECONDS
        return SpokenOver(speaking, asking or just_asked)

    def cut(self) -> tuple[set[object], str]:
        """Everything stops now: the sentences that were under way or waiting, and the words of them that were heard."""
        keys, words = {sentence.key for sentence in self._sentences}, self.words()
        self._sentences = []
        return keys, words


def is_question(text: str) -> bool:
    """Whether a sentence of the agent asks something."""
    return text.rstrip().rstrip("\"')").endswith(("?", "？"))


def _take_back(sentences: Sequence[Sentence], seconds: float) -> None:
    for sentence in reversed(sentences):
        step = min(sentence.played, seconds)
        sentence.played -= step
        seconds -= step
