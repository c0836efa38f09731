"""Asks again, for a limited time, while the failure is one that passes; the worker asks the store through it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

PAUSE_SECONDS = 0.1  # between two tries; an overloaded machine answers the next one, a dead store none

Answer = TypeVar("Answer")


async def retry(
    ask: Callable[[], Awaitable[Answer]],
    seconds: float,
    *,
    on: type[Exception],
    pause: float = PAUSE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """The answer to a question that may be asked twice.

    Args:
        ask: asks once; must do no harm when it is repeated after a lost reply.
        seconds: after so many no further try begins.
        on: what passes: this failure is tried again, every other one is raised at once.
        pause: seconds between two tries.
        clock: seconds.

    Raises:
        What `ask` raises: `on` when there was no answer in time, everything else at once.
    """
    deadline = clock() + seconds
    while True:
        try:
            return await ask()
        except on:
            if clock() + pause >= deadline:
                raise
            await asyncio.sleep(pause)
