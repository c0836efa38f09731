"""Reserved tokens that are used at a bad time: the agent comes, or the page is told why and its room is closed then."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from bench.harness.system import System
from client.caller import Caller
from tests.drills.talk import is_told, one_agent
from tests.support.asking import until_answer
from tests.support.livekit import KEY, SECRET, run_livekit

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

QUEUE_SECONDS = 12.0
SILENT_SECONDS = 5.5  # after which a worker that says nothing is not counted on
TOKENS = 1000
THEIR_OWN = (":docket", ":targets", ":note:")  # timetable, shares of the pool, what is kept from look to look


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {
        "PREWARM_POOL_SIZE": "1",
        "GREENROOM_SLOTS": "1",
        "GREENROOM_QUEUE_SECONDS": str(QUEUE_SECONDS),
        "GREENROOM_HANGUP_GRACE": "1",
    }


@pytest.fixture(scope="module")
def deaf(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[System]:
    """A system whose livekit-server sends no webhooks."""
    directory = tmp_path_factory.mktemp("deaf")
    with run_livekit(directory) as livekit:
        elsewhere = {"LIVEKIT_URL": livekit.url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
        with System(directory, {**environment, **elsewhere}) as running:
            yield running


@pytest.fixture
async def deaf_http(deaf: System) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=deaf.url, timeout=15, trust_env=False) as client:
        yield client


@contextmanager
def stopped(system: System) -> Iterator[None]:
    """The worker's parent says nothing, and answers nobody."""
    pid = system.pids["worker"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _token(http: httpx.AsyncClient) -> dict[str, Any]:
    """A token, as soon as the system has a free slot again."""
    deadline = time.monotonic() + 60
    while (answer := await http.post("/api/livekit/token")).status_code != 201:
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < deadline, answer.text
        await asyncio.sleep(0.1)
    return dict(answer.json())


async def _joins(caller: Caller, token: dict[str, Any]) -> str:
    """Join with this token; the session's id."""
    await caller.join(token["server_url"], token["participant_token"])
    return caller.room.name


async def _is_over(http: httpx.AsyncClient, caller: Caller, session: str, reason: str) -> None:
    """The page is told why, its room is closed, and the API says the same."""
    await is_told(caller, reason, QUEUE_SECONDS + 10)
    await caller.wait_for(lambda: caller.lost, "the room closing", 10)
    record = await until_answer(http, f"/api/session/{session}", lambda each: each["status"] == "error", 5)
    assert record["error"] == reason


async def _keys(system: System) -> set[str]:
    """All that is in the store, but for what dispatchers and workers write by themselves, sooner or later."""
    async with Redis.from_url(system.redis_url, decode_responses=True) as client:
        return {str(key) for key in await client.keys("*") if not any(own in str(key) for own in THEIR_OWN)}


async def test_a_thousand_tokens_leave_nothing_in_the_store(system, http):
    await _token(http)
    before = await _keys(system)
    answers = []
    for _ in range(TOKENS // 50):
        answers += await asyncio.gather(*(http.post("/api/livekit/token") for _ in range(50)))
    assert {each.status_code for each in answers} == {201}
    assert len({each.json()["participant_token"] for each in answers}) == TOKENS
    assert await _keys(system) == before
    assert (await http.get("/api/sessions")).json()["count"] == 0


async def test_a_token_that_is_used_while_the_only_slot_is_taken(system, http, timed):
    token = await _token(http)
    async with Caller(system.url) as first, Caller(system.url) as second:
        await first.start()
        await first.join()
        await first.wait_for_sound(first.asked_at, timeout=30)
        session = await _joins(second, token)
        await is_told(second, "queued", 10)
        assert (await http.get(f"/api/session/{session}")).json()["status"] == "queued"
        await first.stop()
        freed = time.monotonic()
        await second.wait_for_sound(freed, timeout=20)
        timed("first sound after the slot is free", time.monotonic() - freed)
        await is_told(second, "ready", 10)
        assert len(await one_agent(system, session)) == 1
        await http.post("/api/session/stop", json={"sessionId": session})


async def test_a_token_that_is_used_while_the_only_slot_stays_taken(system, http):
    token = await _token(http)
    async with Caller(system.url) as first, Caller(system.url) as second:
        await first.start()
        await first.join()
        await first.wait_for_sound(first.asked_at, timeout=30)
        session = await _joins(second, token)
        await _is_over(http, second, session, "no_capacity")
        await first.stop()


async def test_a_token_that_is_used_while_no_worker_lives(system, http, timed):
    token = await _token(http)
    async with Caller(system.url) as caller:
        with stopped(system):
            await asyncio.sleep(SILENT_SECONDS)  # what is waited for is that nothing comes
            session = await _joins(caller, token)
            await is_told(caller, "queued", 10)
        back = time.monotonic()
        await caller.wait_for_sound(back, timeout=20)
        timed("first sound after the worker is back", time.monotonic() - back)
        assert len(await one_agent(system, session)) == 1
        await http.post("/api/session/stop", json={"sessionId": session})


async def test_a_token_that_is_used_right_after_the_only_worker_was_killed(system, http, timed):
    token = await _token(http)
    async with Caller(system.url) as caller:
        killed = time.monotonic()
        os.killpg(system.pids["worker"], signal.SIGKILL)
        session = await _joins(caller, token)
        await caller.wait_for_sound(killed, timeout=60)
        timed("first sound", time.monotonic() - killed)
        assert len(await one_agent(system, session)) == 1
        await http.post("/api/session/stop", json={"sessionId": session})


async def test_a_token_that_is_used_while_no_worker_comes_back(system, http):
    token = await _token(http)
    async with Caller(system.url) as caller:
        with stopped(system):
            await asyncio.sleep(SILENT_SECONDS)  # as above
            session = await _joins(caller, token)
            await _is_over(http, caller, session, "no_worker")


async def test_a_token_that_is_used_again_after_the_end_begins_nothing(system, http):
    token = await _token(http)
    async with Caller(system.url) as caller:
        session = await _joins(caller, token)
        await caller.wait_for_sound(caller.asked_at, timeout=30)
        await http.post("/api/session/stop", json={"sessionId": session})
        await caller.wait_for(lambda: caller.lost, "the room closing", 10)
    async with Caller(system.url) as again:
        await _joins(again, token)
        await again.wait_for(lambda: again.lost, "the room closing", 10)
        assert not again.agents()
    assert (await http.get(f"/api/session/{session}")).json()["endReason"] == "stopped"


async def test_a_token_whose_webhooks_are_lost(deaf, deaf_http, timed):
    token = await _token(deaf_http)
    async with Caller(deaf.url) as caller:
        session = await _joins(caller, token)
        await caller.wait_for_sound(caller.asked_at, timeout=30)
        timed("first sound", time.monotonic() - caller.asked_at)
        assert len(await one_agent(deaf, session)) == 1
        [first, *_] = (await deaf_http.get(f"/api/session/{session}/logs")).json()["logs"]
        assert (first["event"], first["by"]) in [("starting", "worker"), ("starting", "sweep")]
        await deaf_http.post("/api/session/stop", json={"sessionId": session})


async def test_a_token_whose_webhooks_are_lost_while_no_worker_lives(deaf, deaf_http, timed):
    token = await _token(deaf_http)
    async with Caller(deaf.url) as caller:
        with stopped(deaf):
            await asyncio.sleep(SILENT_SECONDS)  # as above
            session = await _joins(caller, token)
            await is_told(caller, "queued", 10)
            [first, *_] = (await deaf_http.get(f"/api/session/{session}/logs")).json()["logs"]
            assert (first["event"], first["by"]) == ("queued", "sweep")
        back = time.monotonic()
        await caller.wait_for_sound(back, timeout=20)
        timed("first sound after the worker is back", time.monotonic() - back)
        await deaf_http.post("/api/session/stop", json={"sessionId": session})


async def test_a_token_whose_webhooks_are_lost_while_the_only_slot_stays_taken(deaf, deaf_http):
    token = await _token(deaf_http)
    async with Caller(deaf.url) as first, Caller(deaf.url) as second:
        await first.start()
        await first.join()
        await first.wait_for_sound(first.asked_at, timeout=30)
        session = await _joins(second, token)
        await _is_over(deaf_http, second, session, "no_capacity")
        await first.stop()
