"""Fixtures for tests that call a running system, which each folder of them starts for itself as `system`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from bench.harness.system import System
from client.wav import Sound
from pipeline.local import tts as hibari


@pytest.fixture
async def http(system: System) -> AsyncIterator[httpx.AsyncClient]:
    """A client of its API."""
    async with httpx.AsyncClient(base_url=system.url, timeout=15, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def speech() -> Callable[[str], Sound]:
    """Words as a sound, made by the bundled voice."""

    def say(text: str) -> Sound:
        pcm, rate = hibari.synthesise(text)
        return Sound(pcm, rate)

    return say
