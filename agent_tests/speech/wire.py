"""Lets a test see and answer the tools of an agent that runs in a worker: by two files in a folder both can reach.

`system.py` lays the wire and reads it. The files that it gives to the worker for agents call `tapped`.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from greenroom.testing.exchange import ToolCall
from greenroom.testing.watching import watched
from pipeline.agents.definition import Agent
from pipeline.agents.files import load_agents
from pipeline.agents.tools import Call

STUBS, CALLS = "stubs.json", "calls.jsonl"
TAPPED = """from agent_tests.speech.wire import tapped

agent = tapped({folder!r}, {name!r}, {wire!r})
"""


class Wire:
    """The test's end.

    Args:
        folder: Where the files are; must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read = 0
        self._open = 0
        self.answer({})

    def lay(self, agents_folder: Path, names: list[str]) -> Path:
        """Write agents that stand for those of a folder, for a worker to load.

        Args:
            agents_folder: The authors' own.
            names: Of the agents in it.

        Returns:
            The folder of those that stand for them.
        """
        home = self._folder / "agents"
        home.mkdir()
        for number, name in enumerate(names):
            told = TAPPED.format(folder=str(agents_folder.resolve()), name=name, wire=str(self._folder))
            (home / f"tapped_{number}.py").write_text(told, "utf-8")
        return home

    def answer(self, stubs: Mapping[str, Any]) -> None:
        """From now on answer for these tools with these results; for no others."""
        whole = self._folder / f"{STUBS}.new"
        whole.write_text(json.dumps(dict(stubs)), "utf-8")
        whole.replace(self._folder / STUBS)

    @property
    def running(self) -> bool:
        """Whether a tool has begun that has not ended, as far as `calls` has read."""
        return self._open > 0

    def calls(self) -> list[ToolCall]:
        """The tools that have ended since the last time this was asked."""
        path = self._folder / CALLS
        if not path.exists():
            return []
        with path.open(encoding="utf-8") as file:
            file.seek(self._read)
            text = file.read()
            whole, _, _ = text.rpartition("\n")
            self._read += len(whole.encode()) + 1 if whole else 0
        notes = [json.loads(line) for line in whole.splitlines()]
        ended = [note for note in notes if "begins" not in note]
        self._open += len(notes) - 2 * len(ended)
        return [ToolCall(note["name"], note["arguments"], note["result"], note["error"]) for note in ended]


def tapped(folder: str, name: str, wire: str) -> Agent:
    """An agent whose tools are seen, and answered for, by a test.

    Args:
        folder: Where the agent's own file is.
        name: The agent's.
        wire: The wire's folder.
    """
    agent = _loaded(folder)[name]
    return replace(agent, tools=[_tapped(function, Path(wire)) for function in agent.tools])


@functools.cache
def _loaded(folder: str) -> dict[str, Agent]:
    return load_agents(Path(folder))


def _tapped(function: Callable[..., Any], wire: Path) -> Callable[..., Any]:
    name = function.__name__

    def stub() -> tuple[bool, Any]:
        _write(wire, {"name": name, "begins": time.time()})
        stubs = json.loads((wire / STUBS).read_text("utf-8"))
        return name in stubs, stubs.get(name)

    def note(arguments: Mapping[str, Any], result: object, error: str) -> None:
        shown = {key: _plain(value) for key, value in arguments.items() if not isinstance(value, Call)}
        _write(wire, {"name": name, "arguments": shown, "result": _plain(result), "error": error})

    return watched(function, stub, note)


def _plain(value: object) -> Any:
    """What JSON can carry of a value; what it can't is named only."""
    return to_jsonable_python(value, fallback=lambda other: type(other).__name__)


def _write(wire: Path, note: Mapping[str, Any]) -> None:
    """Add a line; one write of a short line to a file opened for appending is not mixed with another's."""
    with (wire / CALLS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(note) + "\n")
