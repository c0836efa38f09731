"""What became of one call of a load, and of all of them together; places no call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.harness.fate import Fate
from bench.report.tables import Row


@dataclass(frozen=True)
class SpokenTurn:
    """One turn of a call.

    Attributes:
        answer: Seconds from its end to the answer's first sound; None when it wasn't answered, or before its end.
        early: Whether the agent spoke before its end.
        wrong: The share of its words that were not understood.
        state: What the agent said that it was doing, where it didn't answer.
    """

    answer: float | None
    early: bool = False
    wrong: float | None = None
    state: str | None = None


@dataclass
class Outcome(Fate):
    """One call. Times are seconds; of the steps, from the request that was accepted.

    Attributes:
        at: When it was placed, from the beginning of the load.
        answered, joined, agent, sound: when the answer came, the caller was in the room, an agent with its track was
            seen, and its first sound was heard.
        turns: What was said.
        recalled: Whether the agent knew the fact that it was told; None when it wasn't asked.
        agents: How many agents the caller saw.
    """

    at: float
    answered: float | None = None
    joined: float | None = None
    agent: float | None = None
    sound: float | None = None
    turns: list[SpokenTurn] = field(default_factory=list)
    recalled: bool | None = None
    agents: int = 0

    @property
    def needless(self) -> bool:
        """Whether it was dispatched more than once: nothing was harmed that would need it."""
        return self.attempt is not None and self.attempt > 1


def passed(outcomes: Sequence[Outcome]) -> bool:
    """Whether no call was lost and none doubled."""
    return not any(outcome.lost or outcome.doubled for outcome in outcomes)


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many calls ended in which way."""
    turns = [turn for outcome in outcomes for turn in outcome.turns]
    asked = [outcome for outcome in outcomes if outcome.recalled is not None]
    return {
        "calls": len(outcomes),
        "with an agent": sum(outcome.agent is not None for outcome in outcomes),
        "lost": sum(outcome.lost for outcome in outcomes),
        "doubled": sum(outcome.doubled for outcome in outcomes),
        "refused for good": sum(outcome.refused for outcome in outcomes),
        "asked to try again": sum(outcome.refusals for outcome in outcomes),
        "queued": sum(outcome.queued for outcome in outcomes),
        "needless second dispatches": sum(outcome.needless for outcome in outcomes),
        "turns": len(turns),
        "turns without an answer": sum(turn.answer is None and not turn.early for turn in turns),
        "turns answered before their end": sum(turn.early for turn in turns),
        "facts asked for": len(asked),
        "facts not remembered": sum(not outcome.recalled for outcome in asked),
    }


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """The figures of the table."""
    turns = [turn for outcome in outcomes for turn in outcome.turns]

    def steps(name: str) -> list[float]:
        return [value for outcome in outcomes if (value := getattr(outcome, name)) is not None]

    return [
        Row("request → answered by the API", "s", steps("answered")),
        Row("request → caller in the room", "s", steps("joined")),
        Row("request → agent in the room with its track", "s", steps("agent")),
        Row("request → first sound heard", "s", steps("sound")),
        Row("end of speech → answer heard", "s", [turn.answer for turn in turns if turn.answer is not None]),
        Row("words not understood", "%", [100 * turn.wrong for turn in turns if turn.wrong is not None]),
    ]


def faults(outcomes: Sequence[Outcome]) -> list[str]:
    """A sentence for each call that went wrong."""
    found: list[str] = []
    for number, outcome in enumerate(outcomes, 1):
        if outcome.failed is not None:
            found.append(f"call {number}, {outcome.session or 'not accepted'}: {outcome.failed}")
        if outcome.doubled:
            found.append(f"call {number}, {outcome.session}: two agents for {outcome.overlap:.1f} s")
    return found


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Every call with all that is known of it."""
    return [
        {**_rounded(asdict(outcome)), "lost": outcome.lost, "doubled": outcome.doubled, "needless": outcome.needless}
        for outcome in outcomes
    ]


def _rounded(found: Any) -> Any:
    if isinstance(found, float):
        return round(found, 4)
    if isinstance(found, dict):
        return {name: _rounded(value) for name, value in found.items()}
    return [_rounded(value) for value in found] if isinstance(found, list) else found
