"""What callers do to their calls: networks that go and come back, pages that are loaded again, webhooks in a storm."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToJson
from livekit import api
from livekit.protocol.webhook import WebhookEvent

from bench.harness.system import ROOT
from client.caller import Caller
from tests.drills.talk import Talk, counted, one_agent
from tests.support.asking import until_answer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

GONE_SECONDS = 10.0


async def test_callers_network_gone_and_back(system, http, timed):
    """The caller is a process of its own, which is stopped: nothing comes from it and it takes nothing in."""
    far = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.drills.far_caller", system.url),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert far.stdout is not None
    assert far.stdin is not None

    async def line() -> dict[str, str]:
        assert far.stdout is not None
        return dict(json.loads(await asyncio.wait_for(far.stdout.readline(), 60)))

    try:
        session = (await line())["session"]
        far.send_signal(signal.SIGSTOP)
        await asyncio.sleep(GONE_SECONDS)  # how long the network is gone is the drill, not what is waited for
        far.send_signal(signal.SIGCONT)
        back = time.monotonic()
        far.stdin.write(b"go on\n")
        await far.stdin.drain()
        assert "name is Alice" in (await line())["heard"]
        timed("the agent answers, from the return", time.monotonic() - back)
        record = (await http.get(f"/api/session/{session}")).json()
        assert (record["status"], record["attempt"]) == ("ready", 1)
        assert await one_agent(system, session) == [f"agent-{session}-1"]
        await http.post("/api/session/stop", json={"sessionId": session})
        await asyncio.wait_for(far.wait(), 20)
    finally:
        if far.returncode is None:
            far.kill()
            await far.wait()


async def test_page_reloaded(system, http, talk, timed):
    await talk.begin(user_id="ann")
    await talk.caller.room.disconnect()
    left = time.monotonic()
    async with Caller(system.url) as second:
        again = Talk(system, second, talk.speech)
        started = await second.start(user_id="ann")
        assert (started.session, started.reused) == (talk.session, True)
        await second.join()
        await second.wait_for_agent(timeout=10)
        timed("back in the room", time.monotonic() - left)
        await again.recalls()
        record = await again.record(http)
        assert (record["status"], record["attempt"]) == ("ready", 1)


async def _post(http: httpx.AsyncClient, key: str, secret: str, event: WebhookEvent) -> int:
    """A webhook as livekit-server sends it."""
    body = MessageToJson(event)
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    token = api.AccessToken(key, secret).with_sha256(digest).to_jwt()
    headers = {"authorization": token, "content-type": "application/webhook+json"}
    return (await http.post("/webhooks/livekit", content=body, headers=headers)).status_code


async def test_webhook_storm_with_duplicates(system, http, talk, timed):
    await talk.begin()
    keys = (system.livekit_api_key, system.livekit_api_secret)
    people = [f"agent-{talk.session}-1", f"caller-{talk.session}", f"agent-{talk.session}-0", "somebody"]
    kinds = ["participant_left", "participant_joined", "participant_left", "room_finished", "track_published"]
    events = []
    for number in range(200):
        event = WebhookEvent(event=kinds[number % len(kinds)], id=f"EV_{number // 3}")
        event.room.name = talk.session
        event.participant.identity = people[number % len(people)]
        events.append(event)
    began = time.monotonic()
    answers = await asyncio.gather(*(_post(http, *keys, event) for event in events))
    timed("200 are answered", time.monotonic() - began)
    assert set(answers) == {200}
    forged = await asyncio.gather(*(_post(http, keys[0], "x" * 40, event) for event in events[:20]))
    assert set(forged) == {401}
    assert await counted(http, 'webhooks_ignored_total{why="forged"}') == 20
    telling = [event.id for event in events if event.event != "track_published"]
    assert await counted(http, 'webhooks_ignored_total{why="repeated"}') >= len(telling) - len(set(telling))
    await talk.recalls()
    record = await talk.record(http)
    assert (record["status"], record["attempt"]) == ("ready", 1)
    assert await one_agent(system, talk.session) == [f"agent-{talk.session}-1"]


async def test_caller_hangs_up_before_its_agent_came(system, http, timed):
    os.killpg(system.pids["worker"], signal.SIGSTOP)  # so that none comes
    try:
        async with Caller(system.url) as caller:
            session = (await caller.start()).session
            await caller.join()
            await until_answer(http, f"/api/session/{session}/logs", _caller_is_there, 5)
        left = time.monotonic()
        record = await until_answer(http, f"/api/session/{session}", lambda each: each["status"] == "ended", 3)
        timed("the session has ended", time.monotonic() - left)
        assert record["endReason"] == "caller_left"
    finally:
        os.killpg(system.pids["worker"], signal.SIGCONT)


def _caller_is_there(answer: dict[str, Any]) -> bool:
    return any(line.get("caller") == "present" for line in answer["logs"])
