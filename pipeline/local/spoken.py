"""Makes text fit to be spoken, and cuts the silence around speech; tts.py uses it."""

from __future__ import annotations

import itertools
import re
import unicodedata

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

AUDIBLE = 10 ** (-40 / 20)  # peak of full scale; hibari's breath before a word has at most -42 dB
FRAME_SECONDS = 0.005
LEAD_SECONDS = 0.01  # kept before the first sound, so that its attack is whole
TAIL_SECONDS = 0.08  # kept after the last sound: what a sentence needs before the next one
LONG_OPENING = 100  # characters; a longer first sentence is synthesised up to its first pause
FOREIGN_LETTERS = 2  # that make a word; one alone is a sign, such as that of pi
SHORT_OPENING = 12  # characters; a pause before this many isn't worth a break

_URL = re.compile(r"(?:https?://|www\.)([^\s/?#:]+?)(?:[/?#:]\S*?)?([.,;!?]?)(?=\s|$)", re.IGNORECASE)
_TIME = re.compile(r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(?![\d:])(\s*[ap]\.?m\b\.?)?", re.IGNORECASE)
_BETWEEN_NUMBERS = re.compile(r"(?<=\d)(?:\s+(\^|\*\*?|[<>])\s+|(\^|\*\*?))(?=-?\d)")
_SIGNS = {"^": "to the power of", "**": "to the power of", "*": "times", "<": "is less than", ">": "is greater than"}
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3}){5,}")
_HUGE = re.compile(r"\d{16,}")  # more than a voice can read as a number
_SPELLED = re.compile(r"\b\d(?:[ -]\d){2,}\b")
_LONG_NUMBER = re.compile(r"(?<![\d.,$€£])\d{4,}(?![\d.,]*\d|\s*%)")
_MARKUP = re.compile(r"</?[a-z][^<>]{0,100}>|[*_`#~|\\^\[\]{}<>]+|[\x00-\x09\x0b-\x1f\x7f]", re.IGNORECASE)
_WORDY = re.compile(r"[^\W_]")
_PAUSE = re.compile(r"(?<=[,;:—])\s+")


def speakable(text: str) -> str:
    """Write out what a voice would read badly.

    Args:
        text: A sentence or more, perhaps with addresses, times, codes and Markdown.

    Returns:
        The same for the ear: addresses by their host, "14:05" as "2:05 PM", codes digit by digit; "" if there is
        nothing to say.
    """
    text = _URL.sub(lambda m: m[1].removeprefix("www.").replace(".", " dot ") + m[2], text)
    text = _TIME.sub(_clock, text)
    text = _BETWEEN_NUMBERS.sub(lambda m: f" {_SIGNS[m[1] or m[2]]} ", text)
    text = _GROUPED.sub(lambda m: m[0].replace(",", ""), text)
    text = _SPELLED.sub(lambda m: ", ".join(re.findall(r"\d", m[0])), text)
    text = _HUGE.sub(lambda m: ", ".join(m[0]), _LONG_NUMBER.sub(_number, text))
    text = re.sub(r"[ \t]+", " ", _MARKUP.sub(" ", text)).strip()
    return text if _WORDY.search(text) else ""


def _clock(found: re.Match[str]) -> str:
    hour, minute = int(found[1]), int(found[2])
    seconds = f" and {int(found[3])} seconds" if found[3] else ""
    if found[4] is not None:
        return f"{found[1]}:{found[2]}{found[4]}{seconds}"
    twelve, half = (hour % 12 or 12), ("PM" if hour >= 12 else "AM")
    return f"{twelve} {half}{seconds}" if minute == 0 else f"{twelve}:{minute:02} {half}{seconds}"


def _number(found: re.Match[str]) -> str:
    """A year and a round number as they are, any other long number as the digits of a code."""
    return found[0] if re.fullmatch(r"(19|20)\d\d|[1-9]\d*000", found[0]) else ", ".join(found[0])


def unsayable(text: str) -> bool:
    """Whether there are words in it that an English voice leaves out: in another script than the Latin one."""
    foreign = (letter for letter in text if letter.isalpha() and "LATIN" not in unicodedata.name(letter, "LATIN"))
    return len(list(itertools.islice(foreign, FOREIGN_LETTERS))) == FOREIGN_LETTERS


def digit_by_digit(text: str) -> str:
    """The same words with every digit by itself: for a voice that stumbles over a number."""
    text = re.sub(r"\d+(?:[.,]\d+)*", lambda m: ", ".join(m[0].replace(",", "")).replace(".", "point"), text)
    return re.sub(r"[^\w\s.,;:!?'-]|_", " ", text)


def parts(text: str) -> list[str]:
    """Cut text so that its first sound comes early.

    Args:
        text: A sentence or more.

    Returns:
        The text, or its opening up to a pause and the rest when that opening can be spoken while the rest is made.
    """
    if len(text) <= LONG_OPENING:
        return [text] if text else []
    for pause in _PAUSE.finditer(text):
        if SHORT_OPENING <= pause.start() <= len(text) - SHORT_OPENING:
            return [text[: pause.start()], text[pause.end() :]]
    return [text]


def trimmed(samples: Samples, rate: int) -> Samples:
    """Speech without the silence before and after it.

    Args:
        samples: From -1 to 1.
        rate: Samples a second.

    Returns:
        From at most 10 ms before the first sound to 80 ms after the last; nothing if there is no sound.
    """
    size = int(rate * FRAME_SECONDS)
    frames = np.abs(samples[: samples.size // size * size]).reshape(-1, size).max(axis=1)
    audible = np.flatnonzero(frames > AUDIBLE)
    if not audible.size:
        return samples[:0]
    start = max(0, int(audible[0]) * size - int((LEAD_SECONDS - FRAME_SECONDS) * rate))
    end = (int(audible[-1]) + 1) * size + int(TAIL_SECONDS * rate)
    return samples[start:end]
