"""Which tool calls have begun and how they ended, so that none runs twice; tools.py writes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Any

from pipeline.resume.checkpoint import Entry


def _nothing() -> None:
    pass


async def _at_once() -> None:
    pass


class Journal:
    """The tool calls of one conversation whose result the context does not have yet.

    Args:
        changed: Called when a call begins or ends.
        before: Awaited before a tool runs that must not run twice, with its call in the journal.
    """

    def __init__(
        self, changed: Callable[[], None] = _nothing, before: Callable[[], Awaitable[None]] = _at_once
    ) -> None:
        self._changed, self._before = changed, before
        self._entries: dict[str, Entry] = {}
        self._stopped: set[str] = set()

    async def begin(self, tool_call_id: str, name: str, arguments: Any, *, repeatable: bool) -> None:
        """A tool is about to run."""
        self._entries[tool_call_id] = Entry(tool_call_id=tool_call_id, name=name, arguments=arguments)
        self._changed()
        if not repeatable:
            await self._before()

    def end(self, tool_call_id: str, result: Any) -> None:
        """A tool has run and gave this."""
        self._entries[tool_call_id] = replace(self._entries[tool_call_id], done=True, result=result)
        self._changed()

    def cancelled(self, tool_call_id: str) -> None:
        """A tool was stopped, and nobody knows how far it had come."""
        self._stopped.add(tool_call_id)
        self._changed()

    def caller_spoke(self) -> None:
        """The conversation goes on without the tools that were stopped."""
        self.settle(self._stopped)
        self._stopped = set()

    def open(self) -> tuple[Entry, ...]:
        """The calls whose result is not settled, oldest first."""
        return tuple(self._entries.values())

    def running(self) -> bool:
        """Whether a tool is at work."""
        return any(not entry.done and entry.tool_call_id not in self._stopped for entry in self._entries.values())

    def settle(self, tool_call_ids: Collection[str]) -> None:
        """Forget calls whose result the context has."""
        for tool_call_id in tool_call_ids:
            self._entries.pop(tool_call_id, None)
