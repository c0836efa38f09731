"""Many starts at once, and starts in the moments in which a worker comes and goes: each gets exactly one agent."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from typing import Any

import httpx
import psutil
import pytest

from bench.harness.system import until
from client.caller import Caller
from tests.drills.talk import one_agent
from tests.support.asking import until_answer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(420)]

BURST = 10  # of 20 the last took over 20 s in a slow hour of the machine, whatever the code: `make load` does 20
RESTARTS = 10


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {
        "PREWARM_POOL_SIZE": "3",
        "GREENROOM_SLOTS": str(BURST),
        "GREENROOM_RATE_LIMIT": "off",
        "GREENROOM_DRAIN_SECONDS": "0",
        "GREENROOM_QUEUE_SECONDS": "60",
    }


async def _greeted(caller: Caller) -> float:
    """Call, be greeted, hang up; seconds until the agent was there."""
    await caller.start()
    await caller.join()
    there = await caller.wait_for_agent(timeout=60)
    await caller.wait_for_sound(caller.asked_at, timeout=60)
    return there - caller.asked_at


async def test_ten_starts_at_once_with_a_pool_of_three(system, http, timed):
    callers = [Caller(system.url) for _ in range(BURST)]

    async def call(caller: Caller) -> tuple[float, list[str], dict[str, Any]]:
        took = await _greeted(caller)
        assert caller.started is not None
        agents = await one_agent(system, caller.started.session)
        path = f"/api/session/{caller.started.session}"
        record = await until_answer(http, path, lambda each: "attempt" in each, 10)  # the store may be slow
        await caller.stop()
        await caller.leave()
        return took, agents, record

    calls = await asyncio.gather(*(call(each) for each in callers))
    timed("last agent in its room", max(took for took, _, _ in calls))
    for _, agents, record in calls:
        assert agents == [f"agent-{record['sessionId']}-1"]  # none doubled, none dispatched a second time
        assert record["attempt"] == 1
    await until_answer(http, "/api/health", lambda each: each["sessions"]["total"] == 0, 20)


async def _start_until_admitted(http: httpx.AsyncClient, deadline: float) -> str:
    """A start as a client makes it: what is refused is asked for again after a while; the id once it is admitted."""
    while True:
        answer = await http.post("/api/session/start?waitMs=0", json={})
        if answer.status_code == 200:
            return str(answer.json()["sessionId"])
        assert answer.status_code == 503, answer.text
        assert "retry-after" in answer.headers
        assert time.monotonic() < deadline
        await asyncio.sleep(0.3)


async def test_starts_in_the_moments_of_a_workers_restart(system, http, timed):
    chance = random.Random(4)
    for number in range(RESTARTS):
        # `up` knows the new one once its own look at health has found it.
        pid = until(lambda: next(filter(psutil.pid_exists, [system.pids["worker"]]), None), 20, "the worker is known")
        os.kill(pid, signal.SIGKILL if number % 2 else signal.SIGTERM)
        began = time.monotonic()
        await asyncio.sleep(
            chance.uniform(0, 1.5)
        )  # the moment within the restart is what varies, not what is waited for
        sessions = await asyncio.gather(*(_start_until_admitted(http, began + 60) for _ in range(2)))
        for session in sessions:
            record = await until_answer(http, f"/api/session/{session}", lambda each: each["status"] != "queued", 90)
            assert record["error"] is None, record
            record = await until_answer(
                http, f"/api/session/{session}", lambda each: each["status"] in ("ready", "error"), 90
            )
            assert record["status"] == "ready", record
            assert await one_agent(system, session) == [f"agent-{session}-{record['attempt']}"]
        timed("both are ready, from the kill", time.monotonic() - began)
        for session in sessions:
            await http.post("/api/session/stop", json={"sessionId": session})
        await until_answer(http, "/api/health", lambda each: each["sessions"]["total"] == 0, 20)
