"""Whether sound holds speech, and whether a transcript is what was said; stt.py asks before it believes its model.

Moonshine hears words in anything: "You" in silence, noise and tones, "Thank you." in a jingle, "♪♪♪" in a constant.
The bounds come from such sounds (log-probability of a token -0.07 to -1.33) against human speech (-0.01 to -0.80).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

FRAME_SECONDS = 0.02
QUIETEST = 10 ** (-56 / 20)  # RMS of full scale; a quiet recording of a reader (two_cities.wav) has -38 dB
BRIEFEST_SECONDS = 0.06  # shorter than the shortest word: a click
LEAST_CONFIDENCE = -1.0  # mean log-probability of a token; "Fail again. Fail better.", badly heard, has -0.80
UNSURE = -0.65  # of several words that may be invented: humans, clean or by telephone, have at least -0.40
SURE = -0.25  # what a phrase from STOCK needs: a caller's own has -0.04 to -0.10, a jingle's -0.40
LONGEST_PHRASE = 24  # tokens in a repeated phrase that counts as a loop: a sentence
LONG_PHRASE = 9  # tokens; of a phrase that is no shorter one repetition less is a loop
MOST_REPEATS = 3
SHORTEST_LOOP = 12  # tokens; fewer may be a number with many zeros

# What speech models learnt from subtitles, and say to sound that holds no words.
NEVER_SAID = re.compile(
    r"(thank you|thanks)( so much| very much)? for watching|subscribe to|subtitles? by|transcript emily beynon|^you$"
)
STOCK = re.compile(r"^((thank you|thanks)( very much| so much)?|so|oh|the|a|and|i|um|uh|hmm)$")


@dataclass(frozen=True)
class Transcription:
    """What the model made of one stretch of sound: its text and the mean log-probability of its tokens."""

    text: str
    confidence: float


def centred(samples: Samples) -> Samples:
    """The same sound without its constant part, and with anything that is no number as silence."""
    if not samples.size:
        return samples
    clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(clean - clean.mean(), dtype=np.float32)


def has_sound(samples: Samples, rate: int) -> bool:
    """Whether any of it is loud enough, for long enough, to be a word.

    Args:
        samples: Sound from -1 to 1, without a constant part.
        rate: Samples a second.

    Returns:
        True if frames louder than -56 dB of full scale make up at least 60 ms.
    """
    size = int(rate * FRAME_SECONDS)
    frames = samples[: samples.size // size * size].reshape(-1, size)
    loud = np.sqrt(np.mean(np.square(frames), axis=1)) > QUIETEST
    return bool(loud.sum() * FRAME_SECONDS >= BRIEFEST_SECONDS)


def loops(tokens: list[int]) -> bool:
    """Whether the newest tokens are one phrase said over and over, as a model does that has lost its way."""
    for size in range(1, LONGEST_PHRASE + 1):
        most = MOST_REPEATS - (size >= LONG_PHRASE)
        times = max(most + 1, math.ceil(SHORTEST_LOOP / size))
        tail = tokens[-size * times :]
        if len(tail) == size * times and tail == tail[:size] * times:
            return True
    return False


def believed(heard: Transcription) -> str:
    """The words that were really said.

    Args:
        heard: The model's answer.

    Returns:
        Its text, or "" for what models say to sound without words.
    """
    words = " ".join(re.findall(r"[a-z']+|\d+", heard.text.lower()))
    if not words or heard.confidence < LEAST_CONFIDENCE or NEVER_SAID.search(words):
        return ""
    if STOCK.match(words) and heard.confidence < SURE:
        return ""
    return heard.text.strip()


def unsure(heard: Transcription) -> bool:
    """Whether what was heard is several words that the model may have invented: another language, or much noise.

    Human speech played backwards, the nearest thing to another language that comes with the packages, has -0.29 to
    -1.8: most of it is below the bound.
    """
    return len(heard.text.split()) > 1 and heard.confidence < UNSURE
