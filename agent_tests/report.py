"""What a run of conversations looks like on a terminal; the command prints it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent_tests.cases import Outcome
from agent_tests.expectations import shown
from greenroom.testing.exchange import Exchange

MARKS = {"passed": ("✓", "32"), "failed": ("✗", "31"), "error": ("!", "31"), "skipped": ("-", "33")}  # ANSI colours
RED, GREEN, DIM = "31", "32", "2"
NAME_WIDTH = 56


@dataclass(frozen=True)
class Paint:
    """Colours text, or leaves it as it is where nobody would see colours."""

    on: bool

    def __call__(self, text: str, colour: str) -> str:
        """The text in an ANSI colour."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.on else text


def lines(outcome: Outcome, paint: Paint) -> Iterator[str]:
    """One conversation: its result, and where it went wrong also what was said.

    Args:
        outcome: What became of it.
        paint: Colours.
    """
    mark, colour = MARKS[outcome.result]
    yield f"  {paint(mark, colour)} {outcome.case.name:<{NAME_WIDTH}} {outcome.seconds:6.2f} s"
    if outcome.result == "skipped":
        yield paint(f"      {outcome.faults[0].expected}", DIM)
    if outcome.result not in ("failed", "error"):
        return
    yield f"      {outcome.case.path}:{outcome.line or outcome.case.line}"
    for fault in outcome.faults:
        yield paint(f"      - {fault.expected}", RED)
        if fault.seen:
            yield paint(f"      + {fault.seen}", GREEN)
    for exchange in outcome.exchanges:
        for line in talk(exchange):
            yield paint(f"        {line}", DIM)


def talk(exchange: Exchange) -> Iterator[str]:
    """What was said and called in one exchange, a line each."""
    if exchange.caller:
        said = f"{exchange.caller} {exchange.interrupts}".strip()
        heard = f" (heard as: {exchange.heard})" if exchange.heard not in ("", said) else ""
        over = f" … over the answer: {exchange.interrupts}" if exchange.interrupts else ""
        yield f"caller  {exchange.caller}{over}{heard}"
    for call in exchange.tools:
        came = f"failed: {call.error}" if call.error else str(call.result)
        yield f"tool    {shown(call.name, call.arguments)} → {came}"
    yield f"agent   {exchange.said or '(nothing)'}  [{exchange.seconds:.2f} s]"
    if exchange.ended:
        yield f"        the call ended as {exchange.ended}"


def summary(outcomes: Sequence[Outcome], seconds: float, paint: Paint) -> Iterator[str]:
    """The last lines: how many of each result, and what was not judged.

    Args:
        outcomes: Of all conversations.
        seconds: How long everything took.
        paint: Colours.
    """
    unasked = [verdict for outcome in outcomes for verdict in outcome.verdicts if not verdict.asked]
    if unasked:
        yield paint(f"{len(unasked)} not judged: {unasked[0].reason}", "33")
    counts = [(result, sum(outcome.result == result for outcome in outcomes)) for result in MARKS]
    text = ", ".join(f"{count} {result}" for result, count in counts if count)
    good = all(outcome.result in ("passed", "skipped") for outcome in outcomes)
    yield paint(f"{text} in {seconds:.2f} s", GREEN if good else RED)
