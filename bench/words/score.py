"""Compares what was understood with what was said; knows no models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import jiwer

from bench.words.recordings import Reading


@dataclass(frozen=True)
class Score:
    """One recording at one rate.

    Attributes:
        rate: of the device, Hz.
        words: that were said.
        error_rate: words wrong, missing or too many, as a share of them.
    """

    name: str
    rate: int
    words: int
    error_rate: float


def plain(text: str) -> str:
    """The words alone, in lower case."""
    return " ".join(re.findall(r"[a-z']+|\d+", text.lower().replace("’", "'")))


def score(reading: Reading, rate: int, understood: str) -> Score:
    """How well a reading was understood."""
    said = plain(reading.text)
    return Score(reading.name, rate, len(said.split()), float(jiwer.wer(said, plain(understood))))


def made_up(understood: Mapping[str, str]) -> dict[str, int]:
    """How many words were understood in each sound that holds none."""
    return {name: len(plain(text).split()) for name, text in understood.items()}
