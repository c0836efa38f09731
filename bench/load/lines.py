"""What the callers of a load say, with the words of it, chosen by seed."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

from bench.harness.speech import recordings, spoken_in
from client.speech import synthesised
from client.wav import Sound

READ = (
    "it was the best of times",
    "it was the worst of times",
    "it was the age of wisdom",
    "it was the age of foolishness",
    "it was the epoch of belief",
    "it was the epoch of incredulity",
    "it was the season of light",
    "it was the season of darkness",
    "it was the spring of hope it was the winter of despair",
    "we had everything before us we had nothing before us",
    "we were all going direct to heaven",
    "we were all going direct the other way",
    "in short the period was so far like the present period",
    "that some of its noisiest authorities insisted on its being received",
    "for good or for evil",
    "in the superlative degree of comparison only",
)
"""What is read in the first recording, utterance by utterance as bench/harness/speech.py cuts them."""
FACTS = (
    ("My name is Alice.", "What is my name?", "Alice"),
    ("My name is Robert.", "What is my name?", "Robert"),
    ("My order number is 42.", "What is my order number?", "42"),
)
"""What is told, how it is asked for later, and the word that a right answer has."""


@dataclass(frozen=True)
class Phrase:
    """Something to say, and its words."""

    sound: Sound
    words: str


@dataclass(frozen=True)
class Fact:
    """Something to tell, the question about it, and the word that a right answer has."""

    tell: Phrase
    ask: Phrase
    answer: str


@dataclass(frozen=True)
class Lines:
    """All there is to say: sentences that a human reads, and facts, which no recording has, in the bundled voice."""

    sentences: Sequence[Phrase]
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Plan:
    """One call of a load.

    Attributes:
        at: Seconds from the beginning at which it is placed.
        sentences: Which of the sentences are said, in this order.
        fact: Which fact is told first and asked for last. None: nothing is said, the caller hangs up once greeted.
    """

    at: float
    sentences: tuple[int, ...] = ()
    fact: int | None = None


def sentences() -> list[Phrase]:
    """What the first recording has, in the same order everywhere."""
    return [Phrase(sound, words) for sound, words in zip(spoken_in(recordings()[0]), READ, strict=True)]


def everything() -> Lines:
    """Sentences and facts; making the facts' sound takes some seconds each."""
    texts = dict.fromkeys(text for tell, ask, _ in FACTS for text in (tell, ask))
    made = {text: Phrase(synthesised(text), text) for text in texts}
    return Lines(sentences(), [Fact(made[tell], made[ask], answer) for tell, ask, answer in FACTS])


def greeted_only(arrivals: Sequence[float]) -> list[Plan]:
    """Callers who hang up once greeted."""
    return [Plan(at) for at in arrivals]


def conversations(arrivals: Sequence[float], random: random.Random, *, sentences: int) -> list[Plan]:
    """Callers who tell a fact, say as many `sentences`, and ask for the fact."""
    return [
        Plan(at, tuple(random.randrange(len(READ)) for _ in range(sentences)), random.randrange(len(FACTS)))
        for at in arrivals
    ]


def error_rate(words: str, understood: str) -> float:
    """Words that are wrong, missing or too many, as a share of those that were said."""
    return float(jiwer.wer(plain(words), plain(understood)))


def plain(text: str) -> str:
    """Its words alone, small, with one space between."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))
