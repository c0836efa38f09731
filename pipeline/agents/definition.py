"""What an agent is, and what a session may change of it; users' files make one, the worker resolves it for a call."""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.agents.checks import MODULE_PREFIX, check_agent, check_field
from pipeline.agents.tools import Call, Tool, ToolFunction, describe
from pipeline.errors import AgentFault, AgentFileError, ConfigRefused, ProviderError
from pipeline.providers import Kind, Provider, check, default

if TYPE_CHECKING:
    from pipecat.processors.frame_processor import FrameProcessor

    from pipeline.settings import PipelineSettings

__all__ = ["Agent", "Extra", "Provider", "ResolvedAgent", "load_agents"]

DEFAULT = "default"


class Extra(NamedTuple):
    """Pipecat processors of an agent's own, made anew for each call.

    Attributes:
        before_llm: Between speech-to-text and the LLM.
        before_tts: Between the LLM and text-to-speech.
    """

    before_llm: Sequence[FrameProcessor] = ()
    before_tts: Sequence[FrameProcessor] = ()


@dataclass(frozen=True)
class Agent:
    """An agent, as its author writes it.

    Attributes:
        name: By which a session asks for it: lower-case letters, digits, - and _.
        prompt: What the LLM is told to be.
        greeting: The first words, spoken as soon as the caller can hear them.
        language: BCP 47 tag of the language spoken, such as "en" or "de-AT".
        stt: Speech to text: a name, or a `Provider` with options; None is the deployment's own.
        llm: Brain, likewise.
        tts: Text to speech, likewise.
        voice: A voice of the text-to-speech provider; None is the deployment's or the provider's own.
        tools: Typed async functions with a docstring.
        overridable: What a session may choose for itself: prompt, greeting, voice, language, stt, llm, tts.
        processors: Makes Pipecat processors of the agent's own for a call; None for none.
        dropped_out: Said by the agent that takes over when this one was lost in a call; may be empty.
    """

    name: str
    prompt: str
    greeting: str
    language: str = "en"
    stt: Provider | str | None = None
    llm: Provider | str | None = None
    tts: Provider | str | None = None
    voice: str | None = None
    tools: Sequence[ToolFunction] = ()
    overridable: frozenset[str] | tuple[str, ...] = ("prompt", "greeting", "voice", "language")
    processors: Callable[[Call], Extra] | None = None
    dropped_out: str = "Sorry, I dropped out for a moment."

    def with_config(self, config: Mapping[str, object]) -> Agent:
        """This agent with a session's own settings.

        A session that chooses another text-to-speech provider and no voice gets that provider's own voice.

        Args:
            config: Values by name; None values are left out.

        Returns:
            The agent for this session.

        Raises:
            ConfigRefused: A name isn't open to sessions, or its value can't be used.
        """
        changes: dict[str, Any] = {}
        for field, value in config.items():
            if value is None:
                continue
            if field not in self.overridable:
                open_to = ", ".join(sorted(self.overridable)) or "nothing"
                raise ConfigRefused(field, f"cannot be chosen by a session of agent {self.name!r}; open: {open_to}")
            changes[field] = _choice(field, value) if field in ("stt", "llm", "tts") else value
        if "tts" in changes:
            changes.setdefault("voice", None)
        changed = replace(self, **changes)
        for field in changes:
            try:
                check_field(changed, field)
            except AgentFault as fault:
                raise ConfigRefused(field, f"{fault.problem}. {fault.remedy}") from fault
        return changed

    def resolve(self, settings: PipelineSettings) -> ResolvedAgent:
        """Fill in what this agent leaves to the deployment, and check that it can work here.

        Args:
            settings: The deployment's.

        Returns:
            The agent, complete.

        Raises:
            ProviderError: A provider, key, option or voice is missing or wrong; names the agent.
        """
        stt, llm, tts = (self._provider(kind, settings) for kind in ("stt", "llm", "tts"))
        # A deployment's voice belongs to the deployment's provider.
        voice = self.voice or (settings.voice if self.tts is None else None)
        try:
            check("stt", stt, settings, language=self.language)
            check("llm", llm, settings)
            check("tts", tts, settings, voice=voice, language=self.language)
        except ProviderError as error:
            error.args = (f"agent {self.name!r}: {error}",)
            raise
        return ResolvedAgent(
            name=self.name,
            prompt=self.prompt,
            greeting=self.greeting,
            language=self.language,
            stt=stt,
            llm=llm,
            tts=tts,
            voice=voice,
            tools=tuple(_described(function) for function in self.tools),
            processors=self.processors,
            dropped_out=self.dropped_out,
        )

    def _provider(self, kind: Kind, settings: PipelineSettings) -> Provider:
        chosen: Provider | str | None = getattr(self, kind)
        if chosen is None:
            return default(kind, settings)
        return chosen if isinstance(chosen, Provider) else Provider(chosen)


@functools.cache
def _described(function: ToolFunction) -> Tool:
    """Kept, because making its model takes 10 ms and a call should find it made."""
    return describe(function)


@dataclass(frozen=True)
class ResolvedAgent:
    """An agent with nothing left open; fields as in `Agent`."""

    name: str
    prompt: str
    greeting: str
    language: str
    stt: Provider
    llm: Provider
    tts: Provider
    voice: str | None
    tools: tuple[Tool, ...]
    processors: Callable[[Call], Extra] | None
    dropped_out: str

    def extra_processors(self, call: Call) -> Extra:
        """Make the agent's own processors for a call.

        Args:
            call: The call.

        Returns:
            What the author's function made; empty without one.

        Raises:
            AgentFault: It returned something else.
        """
        if self.processors is None:
            return Extra()
        made = self.processors(call)
        if not isinstance(made, Extra):
            raise AgentFault(
                "processors", f"returned {type(made).__name__}", "Return Extra(before_llm=[...], before_tts=[...])"
            )
        return made


def _choice(field: str, value: object) -> Provider | str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and value.keys() <= {"name", "options"} and isinstance(value.get("name"), str):
        options = value.get("options") or {}
        if isinstance(options, Mapping):
            return Provider(value["name"], dict(options))
    raise ConfigRefused(field, 'must be a name or {"name": ..., "options": {...}}')


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


def _load(path: Path) -> Agent:
    agent = getattr(_imported(path), "agent", None)
    lines = _lines(path)
    if agent is None:
        raise AgentFileError(path, None, "defines no agent", "End it with: agent = Agent(name=..., prompt=..., ...)")
    if not isinstance(agent, Agent):
        problem = f"'agent' is of type {type(agent).__name__}"
        raise AgentFileError(path, lines.get("="), problem, "Make it with: agent = Agent(name=..., prompt=..., ...)")
    try:
        check_agent(agent)
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
        raise AgentFileError(path, _blamed(error, path), f"cannot be imported: {error}", remedy) from error
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        problem = f"failed while it was imported: {type(error).__name__}: {error}"
        raise AgentFileError(path, _blamed(error, path), problem, "Correct the line") from error
    return module


def _blamed(error: BaseException, path: Path) -> int | None:
    """The last line of the user's own file that an error passed through."""
    own = path.resolve()
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == own]
    return lines[-1] if lines else None


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
