"""Decides how long a pause must last to end the caller's turn, from a model and from the words; turn_stop.py asks it.

The seconds come from two people who read aloud (`python -m bench.turns`): 18 utterances, and hesitations within them.
Smart Turn took one end in eight for a hesitation, and corrected itself when it was asked again, but for one. It took
half of the hesitations for an end, even after "of the": there the words know better.
"""

from __future__ import annotations

import re

ASKS = (0.0, 0.2, 0.4, 0.6)  # seconds after a pause is noticed at which the model listens: 0.1 core-seconds each
COMPLETE = 0.7  # the model's probability that ends a turn; from Pipecat's 0.5 on it still errs in hesitations
CLAUSE_SECONDS = 0.6  # of a pause after a clause that the words say is complete, whatever the model hears

# Words after which an English sentence goes on. Those that also end one ("log in", "come on") are left out.
_DANGLING = re.compile(
    r"an?|the|my|your|his|her|its|our|their|this|these|every|some|any|no|"
    r"and|or|but|because|so|if|when|while|that|which|who|whose|than|as|"
    r"of|to|for|from|with|at|by|into|onto|about|between|"
    r"i|i'm|you're|he's|she's|we're|they're|i'd|i'll|is|are|was|were|am|be|been|"
    r"will|would|could|should|can|may|might|um|uh|er|erm"
)
_OBJECTS = frozenset(("that", "this", "these", "so", "no", "some", "any", "her", "i"))  # end an answer as well: "No."


def dangling(words: str) -> bool:
    """Whether the words break off where more must come: "I would like to", "and my".

    Args:
        words: What the caller has said so far in this turn.
    """
    text = words.strip().lower()
    found = re.findall(r"[a-z']+|\d+", text)
    if not found or text.endswith("?") or _DANGLING.fullmatch(found[-1]) is None:
        return False
    return len(found) > 1 or found[-1] not in _OBJECTS


def is_clause(words: str) -> bool:
    """Whether the words are a sentence that may stand alone: speech-to-text has ended it, and it has two words.

    Args:
        words: What the caller has said so far in this turn.
    """
    return words.rstrip().endswith((".", "!", "?")) and len(words.split()) > 1 and not dangling(words)


def seconds_of_pause(probability: float, words: str, timeout: float) -> float:
    """How long a pause must last to end the turn.

    Args:
        probability: That the turn is finished, as the model heard it last; 0 before it was asked.
        words: What the caller has said so far in this turn; "" if it isn't known yet.
        timeout: Seconds that always end it.

    Returns:
        Seconds after the pause was noticed.
    """
    if dangling(words):
        return timeout
    if probability > COMPLETE:
        return 0.0
    if is_clause(words):
        return min(timeout, CLAUSE_SECONDS)
    return timeout
