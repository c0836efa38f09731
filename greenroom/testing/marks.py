"""Decorators by which a test in Python says which agent, brain and tools its conversation has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from greenroom.testing.script import Answer, Piece, answer

_F = TypeVar("_F", bound=Callable[..., Any])
_MARKS = "__greenroom_test__"


@dataclass(frozen=True)
class Marks:
    """What a test says of its conversation.

    Attributes:
        agent: The agent's name; None is the file's own.
        brain: Answers in place of the agent's brain; None keeps that.
        tools: Results in place of tools, by name; a function is called with the tool's arguments.
    """

    agent: str | None = None
    brain: tuple[Answer, ...] | None = None
    tools: Mapping[str, Any] = field(default_factory=dict)


def marks_of(test: Callable[..., Any]) -> Marks:
    """The marks of a test."""
    found: Marks = getattr(test, _MARKS, Marks())
    return found


def _mark(test: _F, **changes: Any) -> _F:
    setattr(test, _MARKS, replace(marks_of(test), **changes))
    return test


def agent(name: str) -> Callable[[_F], _F]:
    """The agent that this test calls; without it, AGENT of the file, or the one called "default".

    Args:
        name: The agent's.
    """
    return lambda test: _mark(test, agent=name)


def brain(*answers: Piece | Sequence[Piece]) -> Callable[[_F], _F]:
    """Scripted answers in place of the agent's brain, one for each time that it is asked.

    Args:
        answers: A text, a tool's call by `calls`, an error by `fails`, or a list of these: pieces, as a model would
            stream them.
    """
    return lambda test: _mark(test, brain=tuple(answer(given) for given in answers))


def tools(**results: Any) -> Callable[[_F], _F]:
    """Results in place of tools, which then don't run.

    Args:
        results: By the tool's name. A function is called with the tool's arguments, and may be async.
    """
    return lambda test: _mark(test, tools=results)
