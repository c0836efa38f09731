"""Logs who changed what of the running system; the routes of operators' orders call it."""

from __future__ import annotations

import logging

from fastapi import Request

from dispatcher.access.access import Requester

_log = logging.getLogger("dispatcher")


def audit(request: Request, action: str, **facts: object) -> None:
    """Log an operator's action.

    Args:
        request: by which it was ordered; its requester is known.
        action: what was done.
        facts: to what, and from what to what.
    """
    requester: Requester = request.state.requester
    who = requester.key.name if requester.key is not None else "loopback"
    told = "".join(f" {name}={value}" for name, value in facts.items())
    _log.info("event=%s audit=true by=%s%s", action, who, told)
