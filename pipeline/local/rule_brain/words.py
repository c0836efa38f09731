"""Reads the caller's words however they were written: numbers, codes, sums; the rule brain uses it."""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Sequence

_SMALL = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen",
)
UNITS = {word: value for value, word in enumerate(_SMALL)}
_TENS = re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety")
TENS = {word: 10 * n for n, word in enumerate(_TENS, start=2)}
TENS["fourty"] = 40  # as some recognisers spell it
SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
# What a recogniser writes for a digit said alone; trusted only inside a code.
SOUNDS_LIKE = {"oh": "0", "o": "0", "nought": "0", "won": "1", "to": "2", "too": "2", "for": "4", "ate": "8"}
TIMES = {"double": 2, "triple": 3}
OPERATORS: dict[str, Callable[[float, float], float]] = {
    "plus": operator.add,
    "minus": operator.sub,
    "times": operator.mul,
    "divided": operator.truediv,
}
_SAME = {"+": "plus", "-": "minus", "*": "times", "x": "times", "×": "times", "/": "divided", "÷": "divided"}
_SAME |= {"multiplied": "times", "over": "divided", "added": "plus", "less": "minus", "pluss": "plus", "class": "plus"}
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)*|[+*/×÷]|(?<=\s)-(?=\s)")

MAX_SENTENCES = 40  # of one message
MAX_SENTENCE = 600  # characters, 40 s of speech: some rules' time grows with its square


def split(text: str) -> list[str]:
    """The words and numbers of a text as they were written, without punctuation."""
    return [token.replace(",", "") for token in _TOKEN.findall(text.replace("’", "'"))]


def plain(text: str) -> str:
    """The text in the shape that rules match: lower case, one space between words, no punctuation or apostrophe."""
    return " ".join(split(text)).lower().replace("'", "")


def sentences(text: str) -> list[str]:
    """The first MAX_SENTENCES of a text, cut to MAX_SENTENCE; a code with full stops ("4. 7. 1. 1.") stays one."""
    joined = re.sub(r"(?<=\d)[.,]\s+(?=\d\b)", " ", text)
    parts = (part[:MAX_SENTENCE] for part in re.split(r"(?<=[.!?])\s+", joined.strip()))
    return list(itertools.islice((part for part in parts if split(part)), MAX_SENTENCES))


def number(words: Sequence[str]) -> tuple[float, int] | None:
    """The number that words begin with.

    Args:
        words: Lower-case words, or digits.

    Returns:
        Its value and how many words it took, or None.
    """
    if words and words[0] in ("minus", "negative"):
        rest = number(words[1:])
        return (-rest[0], rest[1] + 1) if rest else None
    total, part, used, last = 0.0, 0.0, 0, ""
    for at, word in enumerate(words):
        value = _value(word)
        if word in SCALES and (used or last == "a"):
            part = (part or 1) * SCALES[word]
            if SCALES[word] >= 1000:
                total, part = total + part, 0.0
        elif value is not None and _joins(last, value):
            part += value
        elif word in ("and", "a") and _leads(words, at, used):
            last = word
            continue
        else:
            break
        used, last = at + 1, word
    if not used:
        return None
    return _with_fraction(total + part, words, used)


def _value(word: str) -> float | None:
    if word in UNITS:
        return UNITS[word]
    if word in TENS:
        return TENS[word]
    return float(word) if re.fullmatch(r"\d+(\.\d+)?", word) else None


def _joins(last: str, value: float) -> bool:
    """Whether a value goes on with the number before it: "forty" takes "two", "hundred" and "and" take anything."""
    return not last or last in SCALES or last in ("and", "a") or (last in TENS and 0 < value < 10)


def _leads(words: Sequence[str], at: int, used: int) -> bool:
    following = words[at + 1] if at + 1 < len(words) else ""
    if words[at] == "a":
        return used == 0 and following in SCALES
    return used > 0 and words[at - 1] in SCALES and _value(following) is not None


def _with_fraction(whole: float, words: Sequence[str], used: int) -> tuple[float, int]:
    if used < len(words) and words[used] == "point":
        digits = [str(UNITS.get(word, word)) for word in words[used + 1 :]]
        tail = [d for d in digits[: _first_other(digits)] if len(d) <= 2]
        if tail:
            return float(f"{whole:.0f}.{''.join(tail)}"), used + 1 + len(tail)
    return whole, used


def _first_other(digits: Sequence[str]) -> int:
    return next((at for at, digit in enumerate(digits) if not digit.isdigit()), len(digits))


def code(words: Sequence[str]) -> str:
    """A number or code as it was spelled out.

    Args:
        words: Lower-case words: "four seven double one", "47 11", "a b 1 2", "for 711".

    Returns:
        Its digits and capital letters without spaces, up to the first word that is none; "" if there are none.
    """
    found, repeat = "", 1
    for at, word in enumerate(words):
        if word in TIMES and at + 1 < len(words):
            repeat = TIMES[word]
            continue
        sign = _sign(words, at, found)
        if not sign:
            break
        found += sign * repeat
        repeat = 1
    return found if any(sign.isdigit() for sign in found) or len(found) > 1 else ""


def _sign(words: Sequence[str], at: int, before: str) -> str:
    word = words[at]
    if word.isdigit():
        return word
    if word in UNITS:
        return str(UNITS[word])
    if word in TENS:
        unit = UNITS.get(words[at + 1], 0) if at + 1 < len(words) else 0
        return str(TENS[word])[0] if 0 < unit < 10 else str(TENS[word])
    if word in SOUNDS_LIKE and (before or _sign_follows(words, at)):
        return SOUNDS_LIKE[word]
    return word.upper() if len(word) == 1 and word.isalpha() else ""


def _sign_follows(words: Sequence[str], at: int) -> bool:
    return at + 1 < len(words) and (words[at + 1] in UNITS or words[at + 1].isdigit())


def shown(value: float) -> str:
    """A number as it is written: no needless decimals, two at most."""
    return f"{round(value, 2):g}" if abs(value) < 1e6 and value != int(value) else str(int(value))


def total(words: Sequence[str]) -> str | None:
    """The answer to a sum.

    Args:
        words: Lower-case words with a sum among them: "what is twelve plus thirty".

    Returns:
        "12 plus 30 is 42", a sentence when it can't be done, or None when there is no sum.
    """
    for at in range(len(words)):
        values, signs = _sum_at(words[at:])
        if signs:
            break
    else:
        return None
    said = shown(values[0]) + "".join(
        f" {sign + ' by' if sign == 'divided' else sign} {shown(value)}"
        for sign, value in zip(signs, values[1:], strict=True)
    )
    try:
        return f"{said} is {shown(_worked_out(values, signs))}"
    except ZeroDivisionError:
        return "Nothing can be divided by zero"


def _sum_at(words: Sequence[str]) -> tuple[list[float], list[str]]:
    values, signs, at = list[float](), list[str](), 0
    while found := number(words[at:]):
        values.append(found[0])
        at += found[1]
        sign = _SAME.get(words[at], words[at]) if at < len(words) else ""
        after = at + 2 if words[at + 1 : at + 2] in (["by"], ["to"]) else at + 1
        if sign not in OPERATORS or not number(words[after:]):
            break
        signs.append(sign)
        at = after
    return values, signs


def _worked_out(values: list[float], signs: list[str]) -> float:
    """Times and divided bind closer than plus and minus."""
    values, signs = list(values), list(signs)
    for close in (("times", "divided"), ("plus", "minus")):
        while found := [at for at, sign in enumerate(signs) if sign in close]:
            at = found[0]
            values[at : at + 2] = [OPERATORS[signs.pop(at)](values[at], values[at + 1])]
    return values[0]
