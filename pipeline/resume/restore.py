"""How a conversation goes on after its agent was lost: repairs tool calls, finds what is unanswered."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.resume.checkpoint import Checkpoint, Entry, Message

RUNNING = "IN_PROGRESS"  # Pipecat 1.14's place-holder for a result
DONE = "COMPLETED"  # and its words for an empty one
TRIES = 2  # agents that take up the same words; if both were lost over them, the next one doesn't get them
UNKNOWN = {"error": "The tool was interrupted; it is not known whether it was carried out."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a new agent begins with.

    Attributes:
        messages: For the context, behind the system prompt; every tool call in them has its result.
        unanswered: The agent owes an answer: to the caller's words, to a tool's result, or one that was cut off.
        asked: The caller's last words, if nothing was said after them: for the transcript, which may lack them.
        heard: The words of a cut-off turn that reached the caller: for the transcript, as the turn is said again.
        leaving: The agent was about to end the call, and the caller has said nothing since.
        tried: How many agents have taken up what is unanswered before.
        left_out: Words were left out over which TRIES agents were lost.
    """

    messages: tuple[Message, ...] = ()
    unanswered: bool = False
    asked: str = ""
    heard: str = ""
    leaving: bool = False
    tried: int = 0
    left_out: bool = False


def restored(checkpoint: Checkpoint, repeatable: Collection[str]) -> Restored:
    """Work out how to go on.

    A tool call left hanging gets the result that the journal has; without one, a repeatable tool's call is taken back
    so that the LLM asks again, and any other is told as interrupted and never runs again. Words over which TRIES
    agents were lost before anything of an answer was heard are left out, with all that they led to.

    Args:
        checkpoint: The last of the agent that was lost.
        repeatable: Names of the tools that may run twice.
    """
    messages, owed = repaired(checkpoint.messages, checkpoint.journal, repeatable)
    _add_words(messages, checkpoint.pending)
    asked = any(message["role"] in ("user", "tool") for message in messages)
    cut_off = bool(checkpoint.speaking) and asked
    last = _last_said(messages)
    unanswered = owed or cut_off or last.get("role") in ("user", "tool")
    left_out = unanswered and not checkpoint.speaking and checkpoint.tried >= TRIES
    return Restored(
        messages=tuple(_without_unanswered(messages) if left_out else messages),
        unanswered=unanswered and not left_out,
        asked=checkpoint.pending.strip() or _words_of_caller(last),
        heard=checkpoint.speaking,
        leaving=checkpoint.leaving and not checkpoint.pending.strip() and last.get("role") != "user",
        tried=0 if left_out else checkpoint.tried,
        left_out=left_out,
    )


def _without_unanswered(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages up to the last words of the agent's that came before the caller's last ones."""
    last = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=len(messages))
    while last > 0 and messages[last - 1]["role"] == "user":
        last -= 1
    return messages[:last]


def tries(begins: Restored, messages: Sequence[Message], pending: str) -> int:
    """How many agents, this one included, have taken up what is unanswered now: for the checkpoint.

    Args:
        begins: What this agent began with.
        messages: Of its context now.
        pending: The caller's final words that aren't among them.
    """
    if _last_said(messages).get("role") not in ("user", "tool") and not pending.strip():
        return 0
    same = not pending.strip() and _count(messages) == _count(begins.messages)
    return begins.tried + 1 if begins.unanswered and same else 1


def _count(messages: Sequence[Message]) -> int:
    return sum(message["role"] == "user" for message in messages)


def _last_said(messages: Sequence[Message]) -> Message:
    """The last message that says something: the caller's, a tool's, the agent's if it has words; empty if none does."""
    for message in reversed(messages):
        if message["role"] in ("user", "tool") or (message["role"] == "assistant" and message.get("content")):
            return message
    return {}


def _words_of_caller(message: Message) -> str:
    words = message.get("content") if message.get("role") == "user" else None
    return words if isinstance(words, str) else ""


def _add_words(messages: list[Message], words: str) -> None:
    """Put in the caller's last words: with those before them if nobody answered yet, so that all are answered."""
    words = words.strip()
    if not words:
        return
    last = messages[-1] if messages else {}
    if last.get("role") == "user" and isinstance(last.get("content"), str):
        messages[-1] = {**last, "content": f"{last['content']} {words}"}
    else:
        messages.append({"role": "user", "content": words})


def settled(messages: Sequence[Message]) -> set[str]:
    """The tool calls whose result is among the messages."""
    return {
        message["tool_call_id"]
        for message in messages
        if message["role"] == "tool" and message.get("content") != RUNNING
    }


def repaired(
    messages: Sequence[Message], journal: Sequence[Entry], repeatable: Collection[str]
) -> tuple[list[Message], bool]:
    """Give every tool call its result, directly behind it and one call a message, as LLMs want it.

    Args:
        messages: Of a context.
        journal: Tool calls whose result is not among them.
        repeatable: Names of the tools that may run twice.

    Returns:
        The messages, and whether the LLM is owed a look at a result among them, or has to ask again.
    """
    results: dict[str, list[Message]] = {}
    for message in messages:
        if message["role"] == "tool" and message.get("content") != RUNNING:
            results.setdefault(message["tool_call_id"], []).append(message)
    entries = {entry.tool_call_id: entry for entry in journal}
    whole: list[Message] = []
    hanging: list[Message] = []  # goes behind what was said meanwhile: an LLM talks about what comes last
    owed = False
    for message in _one_call_each(messages):
        if message["role"] == "user":
            # When the caller speaks, what runs is cancelled: these words are what is to be answered now.
            whole, hanging, owed = [*whole, *hanging], [], False
        if not message.get("tool_calls"):
            whole.append(message)
            continue
        call = message["tool_calls"][0]
        entry = entries.pop(call["id"], None)
        if results.get(call["id"]):
            whole += [message, results[call["id"]].pop(0)]
        else:
            hanging += _finished(message, entry, repeatable)
            owed = True
    for entry in entries.values():  # Pipecat writes a call down only after the words before it have been heard
        hanging += _finished(_asked(entry), entry, repeatable)
    return [*whole, *hanging], owed or bool(entries)


def _one_call_each(messages: Sequence[Message]) -> Iterator[Message]:
    """The messages but for tools' results, which come back with their calls, and are refused without."""
    for message in messages:
        calls = message.get("tool_calls") or []
        if calls and message.get("content"):
            yield {name: value for name, value in message.items() if name != "tool_calls"}
        for call in calls:
            yield {"role": "assistant", "tool_calls": [call]}
        if not calls and message["role"] != "tool":
            yield message


def _asked(entry: Entry) -> Message:
    function = {"name": entry.name, "arguments": json.dumps(entry.arguments, ensure_ascii=False)}
    return {"role": "assistant", "tool_calls": [{"id": entry.tool_call_id, "function": function, "type": "function"}]}


def _finished(call: Message, entry: Entry | None, repeatable: Collection[str]) -> list[Message]:
    """A call left hanging with a result; nothing if it may be made again."""
    asked: Any = call["tool_calls"][0]
    if entry is not None and entry.done:
        result = json.dumps(entry.result, ensure_ascii=False) if entry.result else DONE
    elif asked["function"]["name"] in repeatable:
        return []
    else:
        result = json.dumps(UNKNOWN)
    return [call, {"role": "tool", "content": result, "tool_call_id": asked["id"]}]
