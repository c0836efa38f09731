"""The pool is resized, and a worker cordoned, while calls go on: callers notice nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from bench.harness.idle import job_processes
from bench.harness.system import System
from client.caller import Caller
from tests.drills.talk import Talk
from tests.support.asking import until_answer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

ANSWER_SECONDS = 0.5  # loose: 50 ms on a machine with nothing else to do
REACHED_SECONDS = 10.0  # loose: 1.5 s


async def _resized(http: httpx.AsyncClient, size: int) -> tuple[float, float]:
    """Seconds to the answer, and until so many processes are idle and none is on its way."""
    began = time.monotonic()
    answer = await http.post("/api/pool/resize", json={"size": size})
    answered = time.monotonic() - began
    assert answer.json()["applied"] == size, answer.text

    def reached(pool: dict[str, int]) -> bool:
        return (pool["target"], pool["idle"], pool["starting"]) == (size, size, 0)

    await until_answer(http, "/api/pool", reached, 30)
    return answered, time.monotonic() - began


async def test_the_pool_is_resized_up_and_down_under_calls(system: System, http, speech, timed):
    callers = [Caller(system.url) for _ in range(2)]
    talks = [Talk(system, caller, speech) for caller in callers]
    try:
        for talk, name in zip(talks, ("Alice", "Robert"), strict=True):
            await talk.call_and_tell(name)
        before = [await talk.record(http) for talk in talks]
        for size in (1, 6, 2):
            answered, reached = await _resized(http, size)
            assert timed(f"answer to {size}", answered) < ANSWER_SECONDS
            assert timed(f"reached {size}", reached) < REACHED_SECONDS
        for talk, name, then in zip(talks, ("Alice", "Robert"), before, strict=True):
            now = await talk.record(http)
            assert (now["status"], now["attempt"]) == ("ready", then["attempt"])
            await talk.recalls(name)
        await asyncio.gather(*(caller.stop() for caller in callers))
    finally:
        await asyncio.gather(*(caller.leave() for caller in callers))


async def test_a_start_is_served_by_a_pool_of_none(system: System, http, talk, timed):
    await _resized(http, 0)
    try:
        await talk.begin()
        await talk.caller.stop()
    finally:
        await _resized(http, 2)


async def test_a_cordoned_worker_keeps_its_calls_and_takes_no_new_ones(system: System, http, talk, speech):
    await talk.begin()

    def tells_of_the_call(answer: dict[str, Any]) -> bool:
        return [call["sessionId"] for call in answer["workers"][0]["calls"]] == [talk.session]

    await until_answer(http, "/api/workers", tells_of_the_call, 15)
    (worker,) = (await http.get("/api/workers")).json()["workers"]
    (call,) = worker["calls"]
    assert call["pid"] in [process.pid for process in job_processes(system)]
    assert 10_000_000 < call["ownMemory"] < 300_000_000
    assert (await http.post(f"/api/workers/{worker['id']}/cordon")).is_success
    await until_answer(http, "/api/workers", lambda each: each["workers"][0]["status"] == "cordoned", 10)
    async with Caller(system.url) as second:
        started = await second.start(wait_ms=0)
        assert (await http.get(f"/api/session/{started.session}")).json()["status"] == "queued"
        await talk.recalls()
        assert (await http.post(f"/api/workers/{worker['id']}/uncordon")).is_success
        await until_answer(http, f"/api/session/{started.session}", lambda each: each["status"] == "ready", 20)
        await second.stop()
    await talk.caller.stop()
