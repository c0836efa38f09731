"""Stands in front of an agent's tools in a test: answers for them where it is told to, and notes their errors."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.agents.tools import ToolFunction


class NoSuchTool(Exception):
    """A test answers for a tool that the agent doesn't have.

    Args:
        name: Of the tool.
        agent: Of the agent.
        known: Names of the agent's tools.
    """

    def __init__(self, name: str, agent: str, known: list[str]) -> None:
        has = f"its tools: {', '.join(known)}" if known else "it has none"
        super().__init__(f"agent {agent!r} has no tool {name!r}; {has}")


def check_names(stubs: Mapping[str, Any], functions: Mapping[str, ToolFunction], agent: str) -> None:
    """Check that every tool that is answered for exists.

    Args:
        stubs: Results by the tool's name.
        functions: The agent's tools by name.
        agent: Its name.

    Raises:
        NoSuchTool: One doesn't.
    """
    for name in stubs:
        if name not in functions:
            raise NoSuchTool(name, agent, sorted(functions))


def watched(
    function: ToolFunction,
    stub: Callable[[], tuple[bool, Any]],
    note: Callable[[Mapping[str, Any], object, str], None],
) -> ToolFunction:
    """A tool that looks like another, for the LLM and for the checks of its arguments.

    Args:
        function: The agent's own.
        stub: Whether a test answers for it now, and what: a result, or a function of the arguments.
        note: Told of each call: its arguments, its result, and what went wrong when it raised.
    """

    @functools.wraps(function)
    async def run(**arguments: Any) -> object:
        try:
            answers, result = stub()
            if not answers:
                value = await function(**arguments)
            else:
                value = result(**arguments) if callable(result) else result
                value = await value if inspect.isawaitable(value) else value
        except Exception as error:
            note(arguments, None, said_of(error))
            raise
        note(arguments, value, "")
        return value

    return run


def said_of(error: BaseException) -> str:
    """An error for its author: its type, message and the innermost place in a file that isn't a library's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    place = f" at {_short(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
