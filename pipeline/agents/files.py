"""Loads the agents that users wrote into a folder; the worker calls it before it serves, and when it forks."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from pipeline.agents.checks import MODULE_PREFIX, check_fields
from pipeline.agents.definition import Agent
from pipeline.errors import AgentFault, AgentFileError, line_in

DEFAULT = "default"


def load_agents(folder: Path) -> dict[str, Agent]:
    """Import and check the agents in a folder: one in each Python file, but for names that begin with _.

    Args:
        folder: Where they are. Files beside an agent can be imported from it.

    Returns:
        The agents by name.

    Raises:
        AgentFileError: A file can't be used, there is none, or none is called "default".
    """
    if not folder.is_dir():
        raise AgentFileError(folder, None, "there is no such folder", "Create it, or set GREENROOM_AGENTS to another")
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    if not files:
        raise AgentFileError(folder, None, "there is no agent in this folder", "Write default.py in it")
    if str(folder.resolve()) not in sys.path:
        sys.path.append(str(folder.resolve()))
    agents: dict[str, Agent] = {}
    origins: dict[str, Path] = {}
    for path in files:
        agent = _load(path)
        if agent.name in agents:
            lines = _lines(path)
            problem = f"the name {agent.name!r} is taken by {origins[agent.name].name}"
            raise AgentFileError(path, lines.get("name", lines.get("")), problem, "Give each agent its own name")
        agents[agent.name], origins[agent.name] = agent, path
    if DEFAULT not in agents:
        names = ", ".join(sorted(agents))
        raise AgentFileError(
            folder, None, f"no agent is called 'default' (there are: {names})", "Name the one that sessions get"
        )
    return agents


def forget_agents(folder: Path) -> None:
    """Undo what `load_agents` left in this process, so that the files of another folder can be loaded in their place.

    Args:
        folder: From which agents were loaded. What they imported from beside them is forgotten, too.
    """
    home = folder.resolve()
    if str(home) in sys.path:
        sys.path.remove(str(home))
    for name in _imported_from(home):
        del sys.modules[name]


def _imported_from(home: Path) -> list[str]:
    """The modules that the import of the agents in a folder brought from that folder."""
    agents = {name for name in sys.modules if name.startswith(MODULE_PREFIX)}
    entries = list(home.iterdir()) if home.is_dir() else []  # an author may have removed the folder
    beside = {path.stem for path in entries if path.suffix == ".py"} | {path.name for path in entries if path.is_dir()}
    helpers = {name for name in sys.modules if name.partition(".")[0] in beside and _is_in(sys.modules[name], home)}
    return sorted(agents | helpers)


def _is_in(module: ModuleType, folder: Path) -> bool:
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(place is not None and Path(place).is_relative_to(folder) for place in places)


def _load(path: Path) -> Agent:
    agent = getattr(_imported(path), "agent", None)
    lines = _lines(path)
    if agent is None:
        raise AgentFileError(path, None, "defines no agent", "End it with: agent = Agent(name=..., prompt=..., ...)")
    if not isinstance(agent, Agent):
        problem = f"'agent' is of type {type(agent).__name__}"
        raise AgentFileError(path, lines.get("="), problem, "Make it with: agent = Agent(name=..., prompt=..., ...)")
    try:
        check_fields(vars(agent))
    except AgentFault as fault:
        line = fault.line or lines.get(fault.field) or lines.get("")
        raise AgentFileError(path, line, fault.problem, fault.remedy) from fault
    return agent


def _imported(path: Path) -> ModuleType:
    name = f"{MODULE_PREFIX}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise AgentFileError(path, None, "cannot be read as Python", "Save it as a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        sys.modules.pop(name, None)
        where = Path(error.filename) if error.filename else path
        problem = f"is not valid Python: {error.msg.rstrip('.?')}"
        raise AgentFileError(where, error.lineno, problem, "Correct the line") from error
    except ImportError as error:
        sys.modules.pop(name, None)
        remedy = "Install what it imports into the project's environment, or correct the name"
        raise AgentFileError(path, line_in(path, error), f"cannot be imported: {error}", remedy) from error
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        problem = f"failed while it was imported: {type(error).__name__}: {error}"
        raise AgentFileError(path, line_in(path, error), problem, "Correct the line") from error
    return module


def _lines(path: Path) -> dict[str, int]:
    """Where each argument of `agent = Agent(...)` stands; "" is the call and "=" the assignment."""
    lines: dict[str, int] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Agent":
            lines[""] = node.lineno
            lines.update({keyword.arg: keyword.value.lineno for keyword in node.keywords if keyword.arg})
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "agent" for t in node.targets):
            lines["="] = node.lineno
    return lines
