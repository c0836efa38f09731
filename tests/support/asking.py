"""Waits for what the API says; knows no call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx


async def until_answer(
    http: httpx.AsyncClient, path: str, condition: Callable[[dict[str, Any]], bool], seconds: float
) -> dict[str, Any]:
    """The first answer to GET `path` that meets the condition; an AssertionError with the last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition(answer := (await http.get(path)).json()):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)
    return dict(answer)
