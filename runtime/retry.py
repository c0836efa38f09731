"""Asks the store again while it does not answer, for a limited time; knows neither what is asked nor who asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from session.errors import StoreUnavailable

PAUSE_SECONDS = 0.1  # between two tries; an overloaded machine answers the next one, a dead store none

Answer = TypeVar("Answer")


async def insist(
    ask: Callable[[], Awaitable[Answer]],
    seconds: float,
    *,
    pause: float = PAUSE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """The answer to a question that may be asked twice.

    Args:
        ask: asks once; must do no harm when it is repeated after a lost reply.
        seconds: after so many no further try begins.
        pause: seconds between two tries.
        clock: seconds.

    Raises:
        StoreUnavailable: there was no answer in time. Also what `ask` raises.
    """
    deadline = clock() + seconds
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            if clock() + pause >= deadline:
                raise
            await asyncio.sleep(pause)
