"""Decides whether the caller's words only say "I am listening"; floor.py asks it."""

from __future__ import annotations

import re

MOST_WORDS = 4  # of a back-channel; "right right right right right" is a caller who wants to be heard

# What a listener says without wanting the turn. A "no", a "wait" or a number never is one.
_PHRASES = (
    "uh huh|uhhuh|mm hmm?|mmhmm?|mhm|m hm|mm|hmm?|huh|ah|aha|ah ha|oh|ooh|um|uh|er|"
    "right|all right|alright|okay|ok|yes|yeah|yep|yup|sure|i see|got it|of course|go on|makes sense|"
    "good|great|cool|nice|wow"
)
_BACK_CHANNEL = re.compile(rf"(?:(?:{_PHRASES})(?: |$))+")


def is_back_channel(words: str, *, asked: bool) -> bool:
    """Whether words that were said over the agent leave it the turn.

    Args:
        words: What was understood.
        asked: The agent was asking something, or just had: then any word is the answer.
    """
    said = " ".join(re.findall(r"[a-z']+|\d+", words.lower().replace("-", " ")))
    if asked or not said or len(said.split()) > MOST_WORDS:
        return False
    return _BACK_CHANNEL.fullmatch(said) is not None
