"""One answer of an LLM while it streams in, over several requests if need be; llm.py keeps it, by pure bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class Fresh:
    """Leaves out of an answer what its beginning repeats of words that were said already.

    Args:
        said: these words.
    """

    def __init__(self, said: str) -> None:
        self._said, self._held = said.strip(), ""

    def feed(self, text: str) -> str:
        """What is new of this piece and of those held back; what may be a repetition waits. Linear in `said`."""
        if not self._said:
            return text
        self._held += text
        begun = self._held.lstrip()
        if len(begun) < len(self._said) and self._said.startswith(begun):
            return ""
        fresh = begun[len(self._said) :] if begun.startswith(self._said) else self._held
        self._said = self._held = ""
        return fresh


@dataclass(slots=True)
class Answer:
    """What is known of the answer to one request.

    Attributes:
        said: what has gone to the voice before a stream broke off; the next request has it as the answer's beginning.
        empty: how often nothing came that could be heard.
        tries: requests so far.
    """

    said: str = ""
    empty: int = 0
    tries: int = 0

    def beginning(self, messages: Sequence[Any]) -> list[Any]:
        """The messages of the next request."""
        begun = [{"role": "assistant", "content": self.said}] if self.said else []
        return [*messages, *begun]


def audible(text: str) -> bool:
    """Whether a voice could say anything of it: an emoji or a dash alone is silence."""
    return any(character.isalnum() for character in text)


def owes_words(messages: Sequence[Any]) -> bool:
    """Whether an answer without words would leave the caller in silence: the last words are not the agent's own."""
    last = messages[-1] if messages else None
    return isinstance(last, Mapping) and (last.get("role") != "assistant" or bool(last.get("tool_calls")))
