"""Passes over what is stored and cannot be read, so that it harms nothing else; each part of the store tells it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from session.errors import UnreadableRecord

MOST_REMEMBERED = 10_000  # things that were told; then all is forgotten, and what is still there is told again

_log = logging.getLogger(__name__)


class Unreadable:
    """What cannot be read, each told and counted once by this process. `counted`: called for each."""

    def __init__(self, counted: Callable[[], None]) -> None:
        self._counted = counted
        self._told: dict[str, set[str]] = {}

    def passed_over(self, what: str, name: str, error: UnreadableRecord) -> None:
        """Tell it, unless it was told before.

        Args:
            what: its kind.
            name: which one, as the store names it: an id, never what is in it.
            error: why.
        """
        told = self._told.setdefault(what, set())
        if name in told:
            return
        if len(told) >= MOST_REMEMBERED:
            told.clear()
        told.add(name)
        self._counted()
        _log.error("event=unreadable what=%s name=%s why=%s", what, name, error)

    def known(self, what: str) -> int:
        """How many of this kind were passed over."""
        return len(self._told.get(what, ()))
