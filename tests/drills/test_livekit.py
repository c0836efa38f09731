"""livekit-server restarts under calls: they go on, recover or end, and none hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from client.caller import CallError
from tests.drills.talk import Talk, one_agent
from tests.support.asking import until_answer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


WITHIN_SECONDS = 60.0  # a call that goes on is answered within a few seconds, one that cannot has ended by then
ASK_AGAIN_SECONDS = 6.0  # an answer takes 1; what is asked during the outage is heard by nobody


async def _answered(talk: Talk) -> bool:
    """Whether the caller, asking for its name now, is answered."""
    try:
        await asyncio.wait_for(talk.recalls(), ASK_AGAIN_SECONDS)
    except (CallError, TimeoutError):
        return False
    return True


async def test_livekit_server_restarted(system, http, talk, timed):
    await talk.begin()
    os.kill(system.pids["livekit"], signal.SIGKILL)
    killed = time.monotonic()
    over = False
    while not over and not await _answered(talk):
        assert time.monotonic() < killed + WITHIN_SECONDS, await talk.record(http)
        over = (await talk.record(http))["status"] in ("ended", "error")
    timed("the call has ended" if over else "the caller is answered", time.monotonic() - killed)
    record = await talk.record(http)
    if over:
        assert record["error"] in ("server_lost", "lost") or record["endReason"] in ("caller_left", "stopped"), record
    else:
        assert await one_agent(system, talk.session) == [f"agent-{talk.session}-{record['attempt']}"]
    await until_answer(http, "/api/health", lambda each: each["status"] == "healthy", 60)
    answer = (await http.post("/api/session/start?waitMs=10000", json={})).json()
    assert answer["status"] == "ready", answer
    await http.post("/api/session/stop", json={"sessionId": answer["sessionId"]})
