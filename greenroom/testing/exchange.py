"""What one turn of the caller's led to, and how words are looked for in it; authors' tests and the YAML form ask it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A phrase of nothing but words and these is compared word by word; one with other marks (<, *, #) as it is written.
_ORDINARY = re.compile(r"""[\w\s.,;:!?'"’“”()-]*""")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the agent called.

    Attributes:
        name: The tool's.
        arguments: As the brain gave them.
        result: What came back; None when nothing did.
        error: The error's type, message and place when the tool failed; else empty.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the caller said, and all that the agent did until it waited for the caller again.

    Attributes:
        caller: The caller's words; empty for what came before the caller spoke, such as the greeting.
        said: The agent's words; of those that the caller cut off, what was heard.
        tools: The tools it called, in order.
        ended: Why the call ended with this, as its record would say it ("finished"); empty while it goes on.
        seconds: How long it took.
        heard: What the agent understood of the caller's words, where they were spoken; else empty.
        interrupts: What the caller said over the answer; else empty.
    """

    caller: str
    said: str = ""
    tools: tuple[ToolCall, ...] = ()
    ended: str = ""
    seconds: float = 0.0
    heard: str = ""
    interrupts: str = ""

    def says(self, phrase: str) -> bool:
        """Whether the agent said these words, by `says`."""
        return says(self.said, phrase)

    def called(self, name: str, **arguments: object) -> bool:
        """Whether the agent called a tool.

        Args:
            name: The tool's.
            arguments: Those that it must have been called with; others don't matter.
        """
        return any(call.name == name and _match(arguments, call.arguments) for call in self.tools)


def says(said: str, phrase: str) -> bool:
    """Whether a phrase stands in what was said.

    Args:
        said: The agent's words.
        phrase: Whole words, whatever the case and the punctuation; a phrase with other marks, such as <think> or **,
            as it is written, whatever the case.
    """
    if _ORDINARY.fullmatch(phrase) and (wanted := _plain(phrase)):
        return f" {wanted} " in f" {_plain(said)} "
    return phrase.casefold() in said.casefold()


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _match(wanted: Mapping[str, object], given: Mapping[str, Any]) -> bool:
    """Whether all that is wanted was given; 3 and "3" are the same, as models send both."""
    return all(name in given and _same(value, given[name]) for name, value in wanted.items())


def _same(wanted: object, given: object) -> bool:
    return wanted == given or str(wanted).casefold() == str(given).casefold()
