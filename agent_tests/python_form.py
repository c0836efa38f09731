"""Conversations that were written in Python: async functions test_...(caller) with plain assertions."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from agent_tests.cases import Case
from agent_tests.errors import Fault, TestFileError, Unmet
from greenroom.testing.caller import CallEnded, Caller, Unfinished
from greenroom.testing.marks import marks_of
from pipeline.errors import line_in

PREFIX = "greenroom_test_"  # of the module that a file of tests becomes
FORGOTTEN = f"coroutine '{Caller.__name__}."  # how Python's warning of a missing await begins


def read(path: Path, default_agent: str) -> list[Case]:
    """Import a file, and find its conversations.

    Args:
        path: The file. Those beside the agents can be imported from it.
        default_agent: Name of the agent, where neither the file nor the test names one.

    Raises:
        TestFileError: It can't be used; says where and what to change.
    """
    module = _imported(path)
    agent = getattr(module, "AGENT", default_agent)
    if not isinstance(agent, str):
        raise TestFileError(path, None, "AGENT must be the name of an agent", 'For example AGENT = "default"')
    found = [_case(path, name, test, agent) for name, test in vars(module).items() if _is_test(module, name, test)]
    return sorted(found, key=lambda case: case.line)


def _is_test(module: ModuleType, name: str, value: object) -> bool:
    return name.startswith("test_") and inspect.isfunction(value) and value.__module__ == module.__name__


def _case(path: Path, name: str, test: Callable[[Caller], Awaitable[None]], agent: str) -> Case:
    line = test.__code__.co_firstlineno
    if not inspect.iscoroutinefunction(test):
        raise TestFileError(path, line, f"{name} is not an async function", f"Write it as: async def {name}(caller)")
    if len(inspect.signature(test).parameters) != 1:
        raise TestFileError(path, line, f"{name} must take the caller alone", f"Write it as: async def {name}(caller)")
    marks = marks_of(test)

    async def play(caller: Caller) -> None:
        try:
            with _awaiting(path):
                await test(caller)
        except AssertionError as error:
            at = line_in(path, error)
            raise Unmet([Fault(_asserted(path, at), str(error))], at) from error
        except (CallEnded, Unfinished) as error:
            raise Unmet([Fault(str(error))], line_in(path, error)) from error

    return Case(
        name=name.removeprefix("test_").replace("_", " "),
        path=path,
        line=line,
        agent=marks.agent or agent,
        play=play,
        brain=marks.brain,
        tools=marks.tools,
        names=tuple((tool, line) for tool in marks.tools),
    )


@contextmanager
def _awaiting(path: Path) -> Iterator[None]:
    """Raise `Unmet` where a test asks something of the caller without `await`: nothing would be said or judged."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
    for warning in seen:
        if str(warning.message).startswith(FORGOTTEN):
            line = warning.lineno if Path(warning.filename) == path.resolve() else None
            raise Unmet([Fault("an await is missing", str(warning.message))], line)
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _imported(path: Path) -> ModuleType:
    name = f"{PREFIX}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise TestFileError(path, None, "cannot be read as Python", "Save it as a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        where = Path(error.filename or path)
        where = path if where == path.resolve() else where
        raise TestFileError(where, error.lineno, f"is not valid Python: {error.msg}", "Correct the line") from error
    except (Exception, SystemExit) as error:
        problem = f"failed while it was imported: {type(error).__name__}: {error}"
        raise TestFileError(path, line_in(path, error), problem, "Correct the line") from error
    return module


def _asserted(path: Path, line: int | None) -> str:
    """The assertion that begins on a line, as it is written, on one line."""
    source = path.read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert) and line is not None and node.lineno <= line <= (node.end_lineno or 0):
            return " ".join((ast.get_source_segment(source, node) or "").split())
    return "an assertion failed"
