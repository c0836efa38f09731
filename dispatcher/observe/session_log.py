"""Logs what happened to a session in two places: this process's log and the session's own; never words of a call."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from session.errors import StoreUnavailable
from session.store.ports import SessionStore

_log = logging.getLogger("dispatcher")


async def log_event(store: SessionStore, session_id: str, event: str, *, level: str = "info", **facts: Any) -> None:
    """Tell it; a store that is away costs the session's entry only.

    Args:
        store: where the session's log is kept.
        session_id: whose.
        event: what happened, one word.
        level: info, warning or error.
        facts: numbers and names; never a secret or something said.
    """
    written = "".join(f" {name}={value}" for name, value in facts.items())
    _log.log(logging.getLevelNamesMapping()[level.upper()], "session=%s event=%s%s", session_id, event, written)
    with suppress(StoreUnavailable):
        await store.log(session_id, event, level=level, **facts)
