"""Checks an agent's fields; files.py calls it for a user's file, definition.py for what a session chooses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.agents.tools import describe
from pipeline.errors import AgentFault, BadList, ProviderError, ToolFault
from pipeline.providers import Kind, by_provider, check_choice, chosen

OVERRIDABLE = ("prompt", "greeting", "voice", "language", "stt", "llm", "tts")
NAME = re.compile(r"[a-z0-9_-]{1,64}")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][A-Za-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
MODULE_PREFIX = "greenroom_agent_"  # of the module that an agent's file becomes
MAX_PROMPT = 64_000  # characters: about 16,000 tokens
MAX_GREETING = 1_000  # characters: about a minute of speech

Fields = Mapping[str, Any]  # of an agent, by name: its author may have put anything there


def check_fields(agent: Fields) -> None:
    """Check every field.

    Args:
        agent: All fields of the agent.

    Raises:
        AgentFault: The first field that is wrong, and what to change.
    """
    for field in CHECKS:
        check_field(agent, field)


def check_field(agent: Fields, field: str) -> None:
    """Check one field.

    Args:
        agent: All fields of the agent; a voice is checked against its provider, for example.
        field: Name of the field that is checked.

    Raises:
        AgentFault: It is wrong.
    """
    CHECKS[field](agent)


def _name(agent: Fields) -> None:
    if not isinstance(agent["name"], str) or not NAME.fullmatch(agent["name"]):
        raise AgentFault("name", "the name must be lower-case letters, digits, - and _", 'For example name="my-agent"')


def _prompt(agent: Fields) -> None:
    if not isinstance(agent["prompt"], str) or not agent["prompt"].strip():
        raise AgentFault("prompt", "the prompt must be a text", "Say in it who the agent is and how it talks")
    if len(agent["prompt"]) > MAX_PROMPT:
        raise AgentFault("prompt", f"the prompt is longer than {MAX_PROMPT} characters", "Shorten it")


def _greeting(agent: Fields) -> None:
    _spoken("greeting", "the greeting", agent["greeting"], "Hello, who is there?")


def _or_nothing(field: str, example: str) -> Callable[[Fields], None]:
    def check(agent: Fields) -> None:
        if agent[field] != "":
            _spoken(field, "the sentence", agent[field], example)

    return check


def _sentence(field: str, example: str) -> Callable[[Fields], None]:
    return lambda agent: _spoken(field, "the sentence", agent[field], example)


def _spoken(field: str, called: str, text: object, example: str) -> None:
    if not isinstance(text, str) or not any(letter.isalnum() for letter in text):
        raise AgentFault(field, f"{called} has no word that can be spoken", f'For example {field}="{example}"')
    if len(text) > MAX_GREETING:
        raise AgentFault(field, f"{called} is longer than {MAX_GREETING} characters", "Shorten it")
    if any(not letter.isprintable() and not letter.isspace() for letter in text):
        raise AgentFault(field, f"{called} has control characters in it", "Remove them")


def _language(agent: Fields) -> None:
    if not isinstance(agent["language"], str) or not LANGUAGE.fullmatch(agent["language"]):
        raise AgentFault("language", "the language must be a tag such as en or de-AT", 'For example language="en"')


def _voice(agent: Fields) -> None:
    given = agent["voice"]
    if given is None:
        return
    voices = list(given.values()) if isinstance(given, Mapping) else [given]
    if not voices or not all(isinstance(voice, str) and voice.strip() for voice in voices):
        remedy = "Give a voice of the tts provider, or voices by provider's name, or leave it out"
        raise AgentFault("voice", "the voice must be a name", remedy)


def _provider(kind: Kind) -> Callable[[Fields], None]:
    def check(agent: Fields) -> None:
        if agent[kind] is None:
            return
        language = None if kind == "llm" else agent["language"]
        try:
            providers = chosen(kind, agent[kind])
            voices = by_provider(kind, "voice", agent["voice"], providers) if kind == "tts" else {}
            for each in providers:
                check_choice(kind, each, voice=voices.get(each.name), language=language)
        except BadList as error:
            raise AgentFault(kind, str(error), f'For example {kind}=[Provider("groq", {{...}}), "local"]') from error
        except ProviderError as error:
            raise AgentFault(kind, str(error), f"Correct {kind}, or leave it out for the deployment's own") from error

    return check


def _tools(agent: Fields) -> None:
    if isinstance(agent["tools"], str) or not isinstance(agent["tools"], (list, tuple)):
        raise AgentFault("tools", "tools must be a list of functions", "For example tools=[current_time]")
    names: set[str] = set()
    for function in agent["tools"]:
        try:
            tool = describe(function)
        except ToolFault as fault:
            # A tool imported from elsewhere has its line in another file than the agent's.
            own = str(getattr(function, "__module__", "")).startswith(MODULE_PREFIX)
            line = fault.line if own else None
            raise AgentFault("tools", f"tool {fault.tool!r} {fault.problem}", fault.remedy, line) from fault
        if tool.name in names:
            raise AgentFault("tools", f"two tools are called {tool.name!r}", "Rename one of the functions")
        names.add(tool.name)


def _overridable(agent: Fields) -> None:
    given = agent["overridable"]
    if isinstance(given, str) or not isinstance(given, (list, tuple, set, frozenset)):
        raise AgentFault("overridable", "overridable must be a tuple of names", 'For example overridable=("prompt",)')
    unknown = [str(name) for name in given if name not in OVERRIDABLE]
    if unknown:
        raise AgentFault(
            "overridable", f"a session cannot override {', '.join(unknown)}", f"Choose from {', '.join(OVERRIDABLE)}"
        )


def _processors(agent: Fields) -> None:
    if agent["processors"] is not None and not callable(agent["processors"]):
        raise AgentFault(
            "processors", "processors must be a function", "Write: def processors(call): return Extra(before_tts=[...])"
        )


CHECKS: Mapping[str, Callable[[Fields], None]] = {
    "name": _name,
    "prompt": _prompt,
    "greeting": _greeting,
    "language": _language,
    "voice": _voice,
    "stt": _provider("stt"),
    "llm": _provider("llm"),
    "tts": _provider("tts"),
    "tools": _tools,
    "overridable": _overridable,
    "processors": _processors,
    "dropped_out": _or_nothing("dropped_out", "Sorry, I was gone for a moment."),
    "goodbye": _sentence("goodbye", "Goodbye, and thank you."),
    "still_there": _sentence("still_there", "Hello?"),
    "not_understood": _or_nothing("not_understood", "Pardon?"),
    "waiting": _or_nothing("waiting", "I'm still looking."),
    "no_answer": _or_nothing("no_answer", "Sorry, could you say that again?"),
}
