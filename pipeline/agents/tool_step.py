"""Makes the tools of one answer one step: the LLM is asked again once, when the last has ended; tools.py asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DONE = {"result": "done"}


class ToolStep:
    """The tool calls of the newest answers that have not ended."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._owed = False

    def begin(self, calls: Iterable[str]) -> None:
        """An answer wants these tool calls, by their ids; told before any of them runs."""
        self._running.update(calls)

    def end(self, call: str, result: Any) -> tuple[Any, bool]:
        """A tool call has ended.

        Args:
            call: its id.
            result: what the LLM is told; None: nothing that would need an answer.

        Returns:
            What the LLM is told, and whether it is asked now.
        """
        self._running.discard(call)
        self._owed = self._owed or result is not None
        if self._running:
            return result, False
        owed, self._owed = self._owed, False
        # Pipecat asks nothing after a result that is None, even where an earlier one is still to be answered.
        return (DONE if owed and result is None else result), owed

    def cancelled(self, call: str) -> None:
        """A tool call was broken off: the caller has said something else, and that is answered."""
        self._running.discard(call)
        if not self._running:
            self._owed = False
