"""The store restarts, is away, slow or full: calls in progress go on, and everything is consistent afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import httpx
import pytest
import redis.asyncio as redis

from bench.harness.system import System
from client.caller import Caller
from tests.drills.proxy import Proxy
from tests.drills.talk import Talk, one_agent
from tests.support.asking import until_answer
from tests.support.valkey import started_valkey

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

AWAY_SECONDS = 30.0


async def _consistent(system: System, http: httpx.AsyncClient, talk: Talk, *, within: float) -> None:
    """The one call that there is, is ready, with its one agent and its seat, and starts are taken."""
    await until_answer(http, "/api/health", lambda each: each["status"] == "healthy", within)
    await until_answer(http, "/api/health", lambda each: each["sessions"]["total"] == 1, within)
    record = await talk.until_status(http, "ready", within)
    assert record["attempt"] == 1, record
    assert await one_agent(system, talk.session) == [f"agent-{talk.session}-1"]
    assert talk.caller.lost is None


async def test_valkey_restarted(system, http, talk, timed):
    await talk.begin()
    os.kill(system.pids["valkey"], signal.SIGKILL)
    killed = time.monotonic()
    await talk.recalls()
    await _consistent(system, http, talk, within=30)
    timed("consistent, from the kill", time.monotonic() - killed)
    assert any("name is Alice" in item["text"] for item in await talk.written(http))
    talk.job.kill()
    await talk.agent_back(time.monotonic(), 2)
    await talk.settled()
    await talk.recalls()


async def test_valkey_away(system, http, talk, timed):
    await talk.begin()
    os.kill(system.pids["valkey"], signal.SIGSTOP)
    away = time.monotonic()
    try:
        asked = time.monotonic()
        refused = await http.post("/api/session/start", json={})
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert time.monotonic() - asked < 3
        while time.monotonic() - away < AWAY_SECONDS - 10:
            await talk.recalls()
        await talk.caller.wait_for(lambda: time.monotonic() - away >= AWAY_SECONDS, "30 s", AWAY_SECONDS)
    finally:
        os.kill(system.pids["valkey"], signal.SIGCONT)
    back = time.monotonic()
    await _consistent(system, http, talk, within=20)
    timed("consistent, from its return", time.monotonic() - back)
    await talk.recalls()
    path = f"/api/session/{talk.session}/transcript"
    await until_answer(http, path, lambda each: sum("is Alice" in item["text"] for item in each["items"]) >= 2, 20)


@pytest.fixture(scope="module")
def slow() -> Iterator[Proxy]:
    """A Valkey of its own, behind a way that can be slow."""
    server = started_valkey()
    with Proxy(server.port) as proxy:
        yield proxy
    server.terminate()


@pytest.fixture(scope="module")
def slow_system(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], slow: Proxy) -> Iterator[System]:
    ours = {"REDIS_URL": f"redis://127.0.0.1:{slow.port}/0"}
    with System(tmp_path_factory.mktemp("slow"), environment | ours) as running:
        yield running


async def test_a_slow_store(slow_system, slow, speech, timed):
    slow.delay = 0.2
    try:
        async with (
            Caller(slow_system.url) as caller,
            httpx.AsyncClient(base_url=slow_system.url, timeout=15, trust_env=False) as http,
        ):
            talk = Talk(slow_system, caller, speech)
            began = time.monotonic()
            await talk.begin()
            timed("a conversation has begun", time.monotonic() - began)
            record = await talk.until_status(http, "ready", 20)
            assert record["attempt"] == 1
            assert await one_agent(slow_system, talk.session) == [f"agent-{talk.session}-1"]
            killed = time.monotonic()
            talk.job.kill()
            timed("new agent in the room", await talk.agent_back(killed, 2))
            await talk.settled()
            await talk.recalls()
            await caller.stop()
    finally:
        slow.delay = 0.0


async def test_a_full_store(system, http, talk):
    await talk.begin()
    client = redis.Redis.from_url(system.redis_url)
    try:
        await client.config_set("maxmemory", "1")
        refused = await http.post("/api/session/start", json={})
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        await talk.recalls()
    finally:
        await client.config_set("maxmemory", "0")
        await client.aclose()
    await _consistent(system, http, talk, within=20)
    path = f"/api/session/{talk.session}/transcript"
    await until_answer(http, path, lambda each: any("name is Alice" in item["text"] for item in each["items"]), 20)
