"""Keeps what is unexpectedly wrong with one session from holding up the others; loops, queue and followers use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.background import report
from session.errors import SessionError


@contextmanager
def contained(task: str, *, expected: type[SessionError] = SessionError) -> Iterator[None]:
    """Log and count an unexpected error in the block, and go on after it.

    Args:
        task: whose block it is: one of TASKS in metrics.py.
        expected: errors that are handed on.

    Raises:
        What is expected.
    """
    try:
        yield
    except expected:
        raise
    except Exception as error:  # noqa: BLE001  # the block is about one session; the others must have their turn
        report("dispatcher", task, error)
