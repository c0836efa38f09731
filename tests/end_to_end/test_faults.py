"""What a caller sees when something fails, with real processes stopped and killed."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from client.caller import Caller
from tests.support.asking import until_answer
from tests.support.jobs import job_in_a_call

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


async def test_an_agent_that_is_killed_is_replaced_and_the_pool_refills(system, http):
    async with Caller(system.url) as caller:
        left = []
        caller.room.on("participant_disconnected", lambda who: left.append(who.attributes.get("lk.publish_on_behalf")))
        await caller.start()
        await caller.join()
        await caller.wait_for_sound(caller.asked_at, timeout=10)
        job_in_a_call(system).kill()
        path = f"/api/session/{caller.started.session}"
        answer = await until_answer(http, path, lambda each: each["attempt"] == 2 and each["status"] == "ready", 15)
        assert answer["error"] is None
        await caller.wait_for_text("agent", "dropped out", timeout=10)
        assert left == ["successor"]  # or LiveKit's pages would hang up
        await caller.stop()
    await until_answer(http, "/api/health", lambda each: each["sessions"]["pool"] >= 2, 20)


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
        answer = await until_answer(http, path, lambda each: each["status"] == "error", 20)
        assert answer["error"] == "provider_failed"


async def test_a_fault_in_the_agents_own_file_is_said_and_its_author_sees_where(system, http):
    async with Caller(system.url) as caller:
        await caller.start(agent="faulty", wait_ms=0)
        await caller.join()
        await caller.wait_for_sound(caller.asked_at, timeout=10)
        path = f"/api/session/{caller.started.session}"
        answer = await until_answer(http, path, lambda each: each["status"] == "error", 10)
        assert (answer["error"], answer["attempt"]) == ("agent_failed", 1)
    logs = (await http.get(f"{path}/logs")).json()["logs"]
    (where,) = [line["error"] for line in logs if line["event"] == "task_failed"]
    assert re.match(r"KeyError at \S*agents/faulty\.py:7 < ", where)
    assert f"task=agent error={where}" in system.log()


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
        items = await until_answer(
            http, path, lambda each: any("42" in item["text"] for item in each.get("items", [])), 10
        )
        assert items["success"]
        await caller.stop()
    await until_answer(http, "/api/health", lambda each: each["status"] != "unhealthy", 15)
