"""A whole worker dies or is told to go, with calls in progress: they go on at another, or once it is back."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import httpx
import pytest

from cli.caller import Caller
from tests.drills.talk import Talk, is_told, one_agent
from tests.drills.workers import second_worker
from tests.support.asking import until_answer
from tests.support.system import System

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


async def _worker_of(http: httpx.AsyncClient, talk: Talk) -> str:
    return str((await talk.record(http))["worker"])


async def _warm_again(http: httpx.AsyncClient) -> None:
    await until_answer(http, "/api/health", lambda each: each["sessions"]["pool"] >= 2, 90)


async def test_worker_parent_killed_and_another_is_there(system, http, talk, timed):
    await talk.begin()
    with second_worker(system, name="second-a"):
        killed = time.monotonic()
        os.kill(system.pids["worker"], signal.SIGKILL)
        assert timed("agent back", await talk.agent_back(killed, 2)) < 6
        timed("it is heard", await talk.heard(killed + 0.2))
        await talk.settled()
        assert await _worker_of(http, talk) == "second-a"
        assert await one_agent(system, talk.session) == [f"agent-{talk.session}-2"]
        await talk.recalls()
        await talk.caller.stop()
    await _warm_again(http)


async def test_whole_worker_group_killed_and_another_is_there(system, http, talk, timed):
    await talk.begin()
    with second_worker(system, name="second-b"):
        killed = time.monotonic()
        os.killpg(system.pids["worker"], signal.SIGKILL)  # nobody is left to report anything
        assert timed("agent back", await talk.agent_back(killed, 2)) < 20
        await talk.heard(killed + 0.2)
        await talk.settled()
        assert await _worker_of(http, talk) == "second-b"
        await talk.recalls()
        await talk.caller.stop()
    await _warm_again(http)


async def test_the_only_worker_killed(system, http, talk, timed):
    await talk.begin()
    killed = time.monotonic()
    os.killpg(system.pids["worker"], signal.SIGKILL)
    await is_told(talk.caller, "recovering", 15)
    timed("the page says so", time.monotonic() - killed)
    assert timed("agent back", await talk.agent_back(killed, 2, timeout=60)) < 60
    await talk.heard(killed + 1)
    await is_told(talk.caller, "ready")
    await talk.settled()
    await talk.recalls()


async def _handed_over(talk: Talk, told: float) -> float:
    """Seconds for which a call had no agent that spoke or could."""
    await talk.caller.wait_for(lambda: talk.agents() != [f"agent-{talk.session}-1"], "the first agent leaving", 30)
    left = time.monotonic()
    back = told + await talk.agent_back(told, 2)
    return max(0.0, back - left)


async def test_worker_told_to_hand_over_three_calls(system: System, http, speech, timed):
    callers = [Caller(system.url) for _ in range(3)]
    talks = [Talk(system, caller, speech) for caller in callers]
    try:
        with second_worker(system, {"GREENROOM_DRAIN": "handover", "GREENROOM_SLOTS": "8"}, name="going") as going:
            os.kill(system.pids["worker"], signal.SIGSTOP)  # so that all three calls come to the one that goes
            for number, talk in enumerate(talks):
                await talk.call_and_tell(("Alice", "Robert", "Susan")[number])
            os.kill(system.pids["worker"], signal.SIGCONT)
            await _warm_again(http)
            told = time.monotonic()
            going.process.send_signal(signal.SIGTERM)
            for gap in await asyncio.gather(*(_handed_over(talk, told) for talk in talks)):
                assert timed("gap of a call", gap) < 6
            await asyncio.to_thread(going.process.wait, 30)
            for talk, name in zip(talks, ("Alice", "Robert", "Susan"), strict=True):
                await talk.settled()
                await talk.recalls(name)
                assert await one_agent(system, talk.session) == [f"agent-{talk.session}-2"]
    finally:
        os.kill(system.pids["worker"], signal.SIGCONT)
        await asyncio.gather(*(caller.stop() for caller in callers if caller.started))
        await asyncio.gather(*(caller.leave() for caller in callers))
