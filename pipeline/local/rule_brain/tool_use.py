"""Which tool a sentence asks for, and how a tool's result is said; rules.py uses it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.local.rule_brain import words

# Parts of a tool's name that callers don't say.
_VERBS = frozenset(
    {"get", "set", "find", "look", "up", "check", "fetch", "the", "do", "make", "show", "tell", "current"}
)
_BEFORE_VALUE = re.compile(r"\b(?:in|for|of|about|to|on|at|called|named|from|is)\s+(.+)$")
_ARTICLE = re.compile(r"^(?:an?|the)\s+")  # in small letters only: The Hague keeps its own
_AFTER_VALUE = re.compile(r"\s+(?:please|now|right now|today|tomorrow|like|thanks|thank you)$")
_RUNNING = "IN_PROGRESS"  # Pipecat's words for a tool's state, in place of its result
_STATUS = {"COMPLETED": "Done.", "CANCELLED": "That was stopped before it was done."}
_SAYING = ("result", "text", "message", "answer", "time", "value", "error")  # keys whose value speaks for itself


@dataclass(frozen=True)
class ToolSpec:
    """A function that may be called: its name, its JSON schema's properties, and which of them it needs."""

    name: str
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required: Sequence[str] = ()


@dataclass(frozen=True)
class ToolRequest:
    """One call of a tool."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def chosen(sentence: str, tools: Sequence[ToolSpec]) -> tuple[ToolRequest | None, str]:
    """The tool whose name a sentence says.

    Args:
        sentence: As the recogniser wrote it.
        tools: Those on offer; the one with most words in the sentence wins.

    Returns:
        The call, or the question for an argument that the sentence lacks; neither if no tool is meant.
    """
    said = words.plain(sentence).split()
    meant = [(len(names), tool) for tool in tools if (names := _names(tool)) and all(_said(n, said) for n in names)]
    if not meant:
        return None, ""
    tool = max(meant, key=lambda found: found[0])[1]
    arguments = dict[str, Any]()
    for name, schema in tool.properties.items():
        value = _argument(sentence, said, schema, _names(tool))
        if value is not None and (name in tool.required or not arguments):
            arguments[name] = value
    missing = [name for name in tool.required if name not in arguments]
    if missing:
        return None, f"Which {missing[0].replace('_', ' ')}?"
    return ToolRequest(tool.name, arguments), ""


def _names(tool: ToolSpec) -> list[str]:
    return [part for part in re.split(r"[_\W]+", tool.name.lower()) if part and part not in _VERBS]


def _said(name: str, said: Sequence[str]) -> bool:
    return any(word == name or (len(name) > 3 and word.rstrip("s") == name.rstrip("s")) for word in said)


def _argument(sentence: str, said: Sequence[str], schema: Mapping[str, Any], names: Sequence[str]) -> Any:
    choices = schema.get("enum")
    if choices:
        return next((choice for choice in choices if words.plain(str(choice)) in " ".join(said)), None)
    kind = schema.get("type", "string")
    if kind in ("integer", "number"):
        found = next((value for at in range(len(said)) if (value := words.number(said[at:]))), None)
        return found and (int(found[0]) if kind == "integer" else found[0])
    return _phrase(sentence, names) if kind == "string" else None


def _phrase(sentence: str, names: Sequence[str]) -> str | None:
    """The words after the last thing the tool is named by: "what's the weather in Paris" gives "Paris"."""
    written = " ".join(words.split(sentence))
    after = written
    for name in names:
        after = re.split(rf"\b{re.escape(name.rstrip('s'))}\w*\b", after, maxsplit=1, flags=re.IGNORECASE)[-1]
    found = _BEFORE_VALUE.search(after)
    value = (found[1] if found else after).strip()
    while _AFTER_VALUE.search(f" {value}"):
        value = _AFTER_VALUE.sub("", f" {value}").strip()
    return _ARTICLE.sub("", value) or None


def result_text(message: Mapping[str, Any]) -> str:
    """A tool's result for the ear.

    Args:
        message: The tool's message, or the developer's message that brings a late result.

    Returns:
        A sentence or a value; "" while the tool runs, and for any other message.
    """
    content = message.get("content")
    if message.get("role") not in ("tool", "developer") or not isinstance(content, str):
        return ""
    try:
        value = json.loads(content)
    except ValueError:
        value = content if message["role"] == "tool" else None
    if message["role"] == "developer" and not (isinstance(value, dict) and "tool_call_id" in value):
        return ""
    if isinstance(value, dict) and "tool_call_id" in value:
        value = value.get("result")
    return _aloud(value)


def _aloud(value: Any) -> str:
    if isinstance(value, str):
        if value.lstrip().startswith(("{", "[", '"')):
            try:
                return _aloud(json.loads(value))
            except ValueError:
                return value
        return "" if value == _RUNNING else _STATUS.get(value, value)
    if isinstance(value, Mapping):
        telling = next((value[key] for key in _SAYING if value.get(key)), None)
        if telling is not None:
            return _aloud(telling)
        return ", ".join(f"{key.replace('_', ' ')} {_aloud(part)}" for key, part in value.items())
    if isinstance(value, Sequence):
        return ", ".join(_aloud(part) for part in value)
    return "" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
