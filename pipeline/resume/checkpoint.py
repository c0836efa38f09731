"""What must survive an agent, for the next one to go on with its conversation; the worker keeps it in the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter, ValidationError

from pipeline.errors import UnreadableCheckpoint

VERSION = 1
READABLE = frozenset({VERSION - 1, VERSION})  # so that two releases can run side by side while one replaces the other
MAX_BYTES = 256 * 1024  # of JSON: hours of talk, and little enough to write once a second
LONGEST = 8 * 1024  # characters kept of each text of a turn that is too long by itself
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def _shaped(message: dict[str, Any]) -> dict[str, Any]:
    """Refuse what is no message of a conversation: whoever restores it relies on this much."""
    if str(message.get("role")) not in ROLES:
        raise ValueError("has no role")
    if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise ValueError("answers no tool call")
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(_is_call(call) for call in calls):
        raise ValueError("has a tool call that is none")
    return message


def _is_call(call: Any) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    return isinstance(function, dict) and isinstance(call.get("id"), str) and isinstance(function.get("name"), str)


Message = Annotated[dict[str, Any], AfterValidator(_shaped)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tool call in the journal.

    Attributes:
        tool_call_id: The LLM's name for it.
        name: The tool.
        arguments: As the model sent them.
        done: It has ended, and `result` is what it gave.
        result: As JSON can carry it; None while it runs.
    """

    tool_call_id: str
    name: str
    arguments: Any
    done: bool = False
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A conversation at one moment.

    Attributes:
        messages: The context in OpenAI's form, oldest first, without the system prompt.
        pending: The caller's final words of a turn that had not ended, so not among the messages.
        speaking: What was heard so far of a turn of the agent's that was not over, so not among the messages.
        journal: Tool calls whose result is not among the messages.
        leaving: The agent was about to end the call.
        tried: How many agents have taken up what is unanswered, this one included; 0 where nothing was.
        dropped: How many of the oldest messages were left out for size.
    """

    messages: tuple[Message, ...] = ()
    pending: str = ""
    speaking: str = ""
    journal: tuple[Entry, ...] = ()
    leaving: bool = False
    tried: int = 0
    dropped: int = 0

    def to_json(self) -> str:
        """Write it down in ASCII, in at most MAX_BYTES; whole turns are left out from the oldest on if need be."""
        text = _dumped(self)
        return text if len(text) <= MAX_BYTES else _dumped(_fitted(self))

    @staticmethod
    def from_json(text: str | bytes) -> Checkpoint:
        """Read what `to_json` wrote, here or in the release before; fields it does not know are ignored.

        Args:
            text: As stored.

        Raises:
            UnreadableCheckpoint: It is corrupt or of an unknown version.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise UnreadableCheckpoint("it is not JSON") from None
        if not isinstance(data, dict):
            raise UnreadableCheckpoint("it is not an object")
        version = data.get("v")
        if type(version) is not int or version not in READABLE:
            raise UnreadableCheckpoint("its version is unknown")
        try:
            return _READER.validate_python(data)
        except (ValidationError, RecursionError) as error:
            raise UnreadableCheckpoint(_blamed(error)) from None


_READER = TypeAdapter(Checkpoint)


def _blamed(error: ValidationError | RecursionError) -> str:
    """The field at fault and never what is in it."""
    if isinstance(error, RecursionError):
        return "it is too deep"
    field = error.errors(include_input=False, include_url=False, include_context=False)[0]["loc"][0]
    return f"its field {field!r} is wrong"


def _dumped(checkpoint: Checkpoint) -> str:
    data = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}
    data["journal"] = [{field.name: getattr(entry, field.name) for field in fields(entry)} for entry in data["journal"]]
    return _json({"v": VERSION, **data})


def _json(value: Any) -> str:
    # A context may hold what JSON cannot carry, such as a picture's bytes: left out rather than a reason to fail.
    return json.dumps(value, separators=(",", ":"), default=lambda _: None)


def _fitted(checkpoint: Checkpoint) -> Checkpoint:
    """As many of the newest turns as fit; if not even one does, its texts cut short; else no messages at all."""
    begins = _beginnings(checkpoint.messages)
    room = MAX_BYTES - len(_dumped(replace(checkpoint, messages=(), dropped=len(checkpoint.messages))))
    sizes = [len(_json(message)) + 1 for message in checkpoint.messages]
    left = sum(sizes)
    for at, size in enumerate(sizes):
        if at in begins and left <= room:
            return _since(checkpoint, at)
        left -= size
    short = _shortened(_since(checkpoint, max(begins, default=0)))
    return short if len(_dumped(short)) <= MAX_BYTES else _since(short, len(short.messages))


def _beginnings(messages: Sequence[Message]) -> set[int]:
    """Where the messages may be cut: before words of the caller's, and never between a tool call and its result."""
    found: set[int] = set()
    answered: set[str] = set()  # by messages behind this place
    for at in range(len(messages) - 1, 0, -1):
        message = messages[at]
        if message["role"] == "tool":
            answered.add(message["tool_call_id"])
        answered -= {call["id"] for call in message.get("tool_calls") or []}
        if message["role"] == "user" and not answered:
            found.add(at)
    return found


def _since(checkpoint: Checkpoint, begin: int) -> Checkpoint:
    return replace(checkpoint, messages=checkpoint.messages[begin:], dropped=checkpoint.dropped + begin)


def _shortened(checkpoint: Checkpoint) -> Checkpoint:
    return replace(
        checkpoint,
        messages=tuple(_short_message(message) for message in checkpoint.messages),
        pending=checkpoint.pending[:LONGEST],
        speaking=checkpoint.speaking[:LONGEST],
        journal=tuple(
            replace(entry, arguments=_short(entry.arguments), result=_short(entry.result))
            for entry in checkpoint.journal
        ),
    )


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:LONGEST]
    text = _json(value)
    return value if len(text) <= LONGEST else text[:LONGEST]


def _short_message(message: Message) -> Message:
    short = {name: _short(value) for name, value in message.items() if name != "tool_calls"}
    if "tool_calls" in message:
        short["tool_calls"] = [
            # Half of an object is no object, and an LLM refuses it.
            call
            if len(_json(call)) <= LONGEST
            else {**call, "function": {"name": call["function"]["name"], "arguments": "{}"}}
            for call in message["tool_calls"]
        ]
    return short
