"""What a caller sees when something fails, with real processes stopped and killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import psutil
import pytest

from cli.caller import Caller

pytestmark = pytest.mark.anyio


async def _until(http, path, condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition(answer := (await http.get(path)).json()):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)
    return answer


def _job_process(system) -> psutil.Process:
    """The process of the one call that runs: the busiest child of the worker's forkserver."""
    children = psutil.Process(system.pids["worker"]).children(recursive=True)
    used = {p.pid: sum(p.cpu_times()[:2]) for p in children}
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        time.sleep(0.05)
    return max(children, key=lambda p: sum(p.cpu_times()[:2]) - used[p.pid])


async def test_an_agent_that_is_killed_is_told_as_lost_and_the_pool_refills(system, http):
    async with Caller(system.url) as caller:
        await caller.start()
        await caller.join()
        await caller.wait_for_sound(caller.asked_at, timeout=10)
        process = await asyncio.to_thread(_job_process, system)
        process.kill()
        path = f"/api/session/{caller.started.session}"
        answer = await _until(http, path, lambda each: each["status"] == "error", 5)
        assert answer["error"] == "lost"
    await _until(http, "/api/health", lambda each: each["sessions"]["pool"] >= 2, 20)


async def test_a_provider_that_fails_is_apologised_for(system, http):
    async with Caller(system.url) as caller:
        await caller.start(agent="broken")
        await caller.join()
        await caller.wait_for_sound(caller.asked_at, timeout=10)
        await caller.wait_for_quiet(0.8, timeout=10)
        asked = time.monotonic()
        await caller.write("Are you there?")
        await caller.wait_for_sound(asked + 0.1, timeout=20)
        path = f"/api/session/{caller.started.session}"
        answer = await _until(http, path, lambda each: each["status"] == "error", 20)
        assert answer["error"] == "provider_failed"


async def test_while_the_store_is_away_starts_are_refused_and_calls_go_on(system, http, speech):
    async with Caller(system.url) as caller:
        await caller.start()
        await caller.join()
        await caller.wait_for_sound(caller.asked_at, timeout=10)
        await caller.wait_for_quiet(0.8, timeout=10)
        os.kill(system.pids["valkey"], signal.SIGSTOP)
        try:
            asked = time.monotonic()
            answer = await http.post("/api/session/start", json={})
            assert time.monotonic() - asked < 1.5
            assert answer.status_code == 503
            assert answer.json()["code"] == "store_unavailable"
            assert "retry-after" in answer.headers
            said = await caller.speak(speech("What is twelve plus thirty?"))
            await caller.wait_for_sound(said.ended, timeout=10)
            await caller.wait_for_text("agent", "42", timeout=10)
        finally:
            os.kill(system.pids["valkey"], signal.SIGCONT)
        path = f"/api/session/{caller.started.session}/transcript"
        items = await _until(http, path, lambda each: any("42" in item["text"] for item in each.get("items", [])), 10)
        assert items["success"]
        await caller.stop()
    await _until(http, "/api/health", lambda each: each["status"] == "healthy", 15)
