"""A whole worker dies or is told to go, with calls in progress: they go on at another, or once it is back."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.harness.system import ROOT, System
from client.caller import Caller
from tests.drills.audible import Audible
from tests.drills.conftest import ENVIRONMENT
from tests.drills.proxy import Proxy
from tests.drills.talk import Talk, is_told, one_agent
from tests.drills.workers import second_worker
from tests.support.asking import until_answer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


PLACES = 12  # calls until one comes to the worker that is meant
OUTAGE_SECONDS = 12.0  # of the store: twice as long as silence would count as a loss
SILENT_SECONDS = 5.5  # after which the heartbeats of a worker that was killed are no longer counted


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One more agent than usual: one whose greeting is long."""
    agents = tmp_path_factory.mktemp("agents")
    for agent in (ROOT / "agents" / "default.py", Path(__file__).parent / "agents" / "greeter.py"):
        shutil.copy(agent, agents)
    return {**ENVIRONMENT, "GREENROOM_AGENTS": str(agents), "GREENROOM_DRAIN": "handover"}


async def _warm_again(http: httpx.AsyncClient, since: float) -> None:
    """The system's own worker is back; heartbeats from before `since` are no longer counted."""

    def back(health: dict[str, Any]) -> bool:
        return bool(time.monotonic() > since + SILENT_SECONDS and health["sessions"]["pool"] >= 2)

    await until_answer(http, "/api/health", back, 90)


async def test_worker_parent_killed_and_another_is_there(system, http, talk, timed):
    await talk.begin()
    with second_worker(system, name="second-a"):
        attempt = (await talk.record(http))["attempt"] + 1
        killed = time.monotonic()
        os.kill(system.pids["worker"], signal.SIGKILL)
        assert timed("agent back", await talk.agent_back(killed, attempt)) < 6
        timed("it is heard", await talk.heard(killed, last=0.2))
        await talk.settled()
        assert (await talk.record(http))["worker"] == "second-a"
        assert await one_agent(system, talk.session) == [f"agent-{talk.session}-{attempt}"]
        await talk.recalls()
        await talk.caller.stop()
    await _warm_again(http, time.monotonic())


async def test_whole_worker_group_killed_and_another_is_there(system, http, talk, timed):
    await talk.begin()
    with second_worker(system, name="second-b"):
        attempt = (await talk.record(http))["attempt"] + 1
        killed = time.monotonic()
        os.killpg(system.pids["worker"], signal.SIGKILL)  # nobody is left to report anything
        assert timed("agent back", await talk.agent_back(killed, attempt)) < 20
        timed("it is heard", await talk.heard(killed, last=1))
        await talk.settled()
        assert (await talk.record(http))["worker"] == "second-b"
        await talk.recalls()
        await talk.caller.stop()
    await _warm_again(http, time.monotonic())


async def _at(talk: Talk, worker: str, http: httpx.AsyncClient, **how: Any) -> None:
    """Call until it is this worker that takes the call: LiveKit chooses between them."""
    for _ in range(PLACES):
        await talk.caller.start(wait_ms=10_000, **how)
        if (await talk.record(http))["worker"] == worker:
            return
        await talk.caller.stop()
    raise AssertionError(f"none of {PLACES} calls came to {worker}")


async def test_a_worker_that_loses_only_the_store_keeps_its_calls(system, http, talk, timed):
    with (
        Proxy(system.ports["GREENROOM_VALKEY_PORT"]) as way,
        second_worker(system, {"REDIS_URL": system.redis_url.replace(_port(system), f":{way.port}")}, name="second-s"),
    ):
        await _at(talk, "second-s", http)
        await talk.caller.join()
        await talk.caller.wait_for_sound(talk.caller.joined_at, timeout=30)
        await talk.settled()
        await talk.tell("My name is Alice.", "Alice")
        before = await talk.record(http)
        way.hold()
        held = time.monotonic()
        answers = 0
        while time.monotonic() < held + OUTAGE_SECONDS:
            await talk.recalls()
            answers += 1
        timed("it still answers", time.monotonic() - held)
        assert answers >= 2
        way.let_go()
        after = await talk.record(http)
        assert (after["status"], after["attempt"], after["worker"]) == ("ready", before["attempt"], "second-s")
        await talk.recalls()
        assert await one_agent(system, talk.session) == [f"agent-{talk.session}-{after['attempt']}"]
        await talk.caller.stop()
    await _warm_again(http, time.monotonic())


async def test_an_agent_that_was_only_paused_and_its_successor_are_never_heard_at_the_same_time(
    system, http, speech, environment
):
    agents = {"GREENROOM_AGENTS": environment["GREENROOM_AGENTS"]}
    with second_worker(system, agents, name="second-p") as worker:
        async with Caller(system.url) as caller:
            talk, ears = Talk(system, caller, speech), Audible(caller.room)
            await _at(talk, "second-p", http, agent="greeter")
            await caller.join()
            await caller.wait_for_sound(caller.joined_at, timeout=30)
            worker.process.send_signal(signal.SIGTERM)  # it drains, so that no dispatch gets lost at a paused worker
            log = system.directory / "second-p.log"
            await caller.wait_for(lambda: "event=draining" in log.read_text(), "it drains", 10)
            worker.signal_group(signal.SIGSTOP)
            stopped = time.monotonic()
            await talk.agent_back(stopped, 2)  # it is about to speak
            worker.signal_group(signal.SIGCONT)
            await talk.heard(time.monotonic())
            await talk.settled()
            await caller.stop()
            await ears.close()
    assert (ears.tracks, ears.together()) == (2, 0)
    await _warm_again(http, time.monotonic())


def _port(system: System) -> str:
    return f":{system.ports['GREENROOM_VALKEY_PORT']}"


async def test_the_only_worker_killed(system, http, talk, timed):
    await talk.begin()
    attempt = (await talk.record(http))["attempt"] + 1
    killed = time.monotonic()
    os.killpg(system.pids["worker"], signal.SIGKILL)
    await is_told(talk.caller, "recovering", 15)
    timed("the page says so", time.monotonic() - killed)
    assert timed("agent back", await talk.agent_back(killed, attempt, timeout=60)) < 60
    timed("it is heard", await talk.heard(killed, last=1))
    await is_told(talk.caller, "ready")
    await talk.settled()
    await talk.recalls()


async def _silence(talk: Talk, told: float, attempt: int) -> float:
    """Seconds without an agent in the room, from the first one's leaving to the next one's coming."""
    first = f"agent-{talk.session}-{attempt}"
    await talk.caller.wait_for(lambda: first not in talk.agents(), "the first agent leaving", 30)
    left = time.monotonic()
    back = told + await talk.agent_back(told, attempt + 1)
    return max(0.0, back - left)


async def test_worker_told_to_hand_over_three_calls(system: System, http, speech, timed):
    names = ("Alice", "Robert", "Susan")
    callers = [Caller(system.url) for _ in names]
    talks = [Talk(system, caller, speech) for caller in callers]
    try:
        for talk, name in zip(talks, names, strict=True):
            await talk.call_and_tell(name)
        with second_worker(system, name="second-c"):
            attempts = [(await talk.record(http))["attempt"] for talk in talks]
            told = time.monotonic()
            os.kill(system.pids["worker"], signal.SIGTERM)
            gaps = await asyncio.gather(*(_silence(talk, told, at) for talk, at in zip(talks, attempts, strict=True)))
            for gap in gaps:
                assert timed("gap of a call", gap) < 6
            for talk, name, at in zip(talks, names, attempts, strict=True):
                await talk.settled()
                await talk.recalls(name)
                assert await one_agent(system, talk.session) == [f"agent-{talk.session}-{at + 1}"]
            await asyncio.gather(*(caller.stop() for caller in callers))
    finally:
        await asyncio.gather(*(caller.leave() for caller in callers))
