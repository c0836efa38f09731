"""livekit-server restarts under calls: they go on, recover or end, and none hangs."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.support.asking import until_answer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


async def test_livekit_server_restarted(system, http, talk, timed):
    await talk.begin()
    os.kill(system.pids["livekit"], signal.SIGKILL)
    killed = time.monotonic()

    def decided(record: dict[str, object]) -> bool:
        return record["status"] in ("ended", "error") or (record["status"] == "ready" and record["attempt"] != 1)

    record = await until_answer(http, f"/api/session/{talk.session}", decided, 90)
    timed(f"the session is {record['status']}", time.monotonic() - killed)
    await until_answer(http, "/api/health", lambda each: each["status"] == "healthy", 60)
    timed("healthy again", time.monotonic() - killed)
    if record["status"] == "ready":
        await talk.settled()
        await talk.recalls()
    else:
        assert record["error"] in ("server_lost", "lost") or record["endReason"] in ("caller_left", "stopped")
    answer = await http.post("/api/session/start?waitMs=10000", json={})
    assert answer.json()["status"] == "ready"
    await http.post("/api/session/stop", json={"sessionId": answer.json()["sessionId"]})
