"""What many answers come to: percentiles of their times, and how often the agent spoke too early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.stats import percentile
from bench.turns.replay import Answered

BEFORE, AFTER = "asked once", "asked again, with the words"
TARGETS = {"p50": 0.6, "p95": 1.0}  # seconds
PLACES = ("p50", "p95")

Answers = Mapping[str, Sequence[Answered]]


def times(answers: Sequence[Answered]) -> list[float]:
    """Seconds of the answers to whole utterances, the soonest first; those that came early, or never, left out."""
    return sorted(each.seconds for each in answers if each.seconds is not None and not each.said.hesitates)


def early(answers: Sequence[Answered], *, hesitates: bool) -> tuple[int, int]:
    """How many were answered before they ended, and of how many: whole utterances, or those with a hesitation."""
    chosen = [each for each in answers if each.said.hesitates is hesitates]
    return sum(each.early for each in chosen), len(chosen)


def missing(answers: Sequence[Answered]) -> int:
    """How many got no answer at all."""
    return sum(each.seconds is None and not each.early for each in answers)


def summary(name: str, answers: Sequence[Answered]) -> dict[str, Any]:
    """One way of ending turns, as the table and the JSON have it."""
    found = times(answers)
    whole, of_whole = early(answers, hesitates=False)
    broken, of_broken = early(answers, hesitates=True)
    return {
        "turns": name,
        **{place: round(percentile(found, place), 3) if found else None for place in PLACES},
        "early": f"{whole} of {of_whole}",
        "earlyInHesitations": f"{broken} of {of_broken}",
        "unanswered": missing(answers),
    }


def reached(answers: Answers) -> list[str]:
    """What was aimed at and not reached, a sentence each."""
    found, faults = times(answers[AFTER]), list[str]()
    for place, target in TARGETS.items():
        if not found or percentile(found, place) > target:
            faults.append(f"{place} is above {target} s")
    for hesitates, what in ((False, "utterances"), (True, "hesitations")):
        if early(answers[AFTER], hesitates=hesitates)[0] > early(answers[BEFORE], hesitates=hesitates)[0]:
            faults.append(f"more {what} are answered early than before")
    return faults
