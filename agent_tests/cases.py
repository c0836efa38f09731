"""One conversation to run, whichever way its author wrote it, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent_tests.errors import Fault
from greenroom.testing.caller import Caller, Verdict
from greenroom.testing.exchange import Exchange
from greenroom.testing.script import Answer


@dataclass(frozen=True)
class Case:
    """A conversation.

    Attributes:
        name: As the author named it.
        path: The file it stands in.
        line: Where it begins there, 1-based.
        agent: Name of the agent that answers.
        play: Speaks the caller's part and checks the agent's; raises `Unmet`, or AssertionError in Python.
        brain: Scripted answers in place of the agent's brain; None keeps that.
        tools: Results in place of tools, by name.
        names: Tools that it expects to be called or not, each with its line.
    """

    name: str
    path: Path
    line: int
    agent: str
    play: Callable[[Caller], Awaitable[None]]
    brain: tuple[Answer, ...] | None = None
    tools: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[tuple[str, int], ...] = ()


Result = Literal["passed", "failed", "error", "skipped"]
"""failed: it went otherwise than expected; error: it could not be held."""


@dataclass(frozen=True)
class Outcome:
    """What became of a conversation.

    Attributes:
        case: The conversation.
        result: How it went.
        seconds: How long it took.
        exchanges: All that was said, as far as it came.
        verdicts: Of the judge.
        faults: What is wrong, or why it was skipped.
        line: Where in the case's file, 1-based.
    """

    case: Case
    result: Result
    seconds: float
    exchanges: tuple[Exchange, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    faults: tuple[Fault, ...] = ()
    line: int | None = None
