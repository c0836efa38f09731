"""Finds the conversations beside the agents, and checks that they fit them; the command runs what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agent_tests import python_form, yaml_form
from agent_tests.cases import Case
from agent_tests.errors import NoTests, TestFileError
from pipeline.agents.definition import Agent
from pipeline.agents.files import DEFAULT

FOLDER = "tests"
"""Below the agents' folder: the loader of agents takes every Python file beside them for an agent."""
HOW = ", as docs/test-your-agent.md shows"


def find(agents_folder: Path, agents: Mapping[str, Agent]) -> list[Case]:
    """Read all conversations beside the agents, in the order of their files' names.

    Args:
        agents_folder: Where the agents are.
        agents: Those in it, by name.

    Raises:
        TestFileError: A file can't be used, or asks for an agent or a tool that there isn't.
        NoTests: There are no conversations.
    """
    folder = agents_folder / FOLDER
    if not folder.is_dir():
        raise NoTests(
            folder, "there is no such folder", f"Make it, and write default.yaml or test_default.py in it{HOW}"
        )
    cases = [case for path in sorted(folder.iterdir()) if (read := reader(path)) for case in read(path, DEFAULT)]
    if not cases:
        raise NoTests(folder, "there are no conversations", f"Write one in default.yaml or test_default.py{HOW}")
    for case in cases:
        _check(case, agents)
    return cases


def reader(path: Path) -> Callable[[Path, str], list[Case]] | None:
    """What reads a file; None when it holds no conversations."""
    if path.suffix in (".yaml", ".yml"):
        return yaml_form.read
    return python_form.read if path.suffix == ".py" and path.name.startswith("test_") else None


def chosen(cases: Sequence[Case], folder: Path, *, only: str | None, agent: str | None) -> list[Case]:
    """Those conversations that were asked for.

    Args:
        cases: All.
        folder: Where they are, for the error.
        only: A part of the name, whatever the case; None: any.
        agent: The agent's name; None: any.

    Raises:
        NoTests: There is none.
    """
    wanted = (only or "").casefold()
    found = [case for case in cases if wanted in case.name.casefold() and agent in (None, case.agent)]
    if not found:
        names = ", ".join(case.name for case in cases)
        raise NoTests(folder, "no conversation is called so", f"There are: {names}")
    return found


def _check(case: Case, agents: Mapping[str, Agent]) -> None:
    if case.agent not in agents:
        problem = f"there is no agent {case.agent!r}"
        raise TestFileError(case.path, case.line, problem, f"There are: {', '.join(sorted(agents))}")
    tools = sorted(str(getattr(tool, "__name__", tool)) for tool in agents[case.agent].tools)
    for name, line in case.names:
        if name not in tools:
            has = f"Its tools: {', '.join(tools)}" if tools else "It has none"
            raise TestFileError(case.path, line, f"agent {case.agent!r} has no tool {name!r}", has)
