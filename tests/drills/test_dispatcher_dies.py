"""The dispatcher dies between recording a start and dispatching it; and dispatches that come twice, late or forged."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import httpx
import pytest
from livekit import api

from bench.harness.system import System, until
from session.fence import Ticket
from tests.drills.proxy import Proxy
from tests.drills.talk import counted, livekit_api, one_agent
from tests.support.asking import until_answer
from tests.support.livekit import KEY, SECRET, run_livekit

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Between everything of ours and livekit-server's API; media goes its own way."""
    with run_livekit(tmp_path_factory.mktemp("livekit")) as server, Proxy(int(server.url.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], proxy: Proxy) -> Iterator[System]:
    ours = {
        "LIVEKIT_URL": f"ws://127.0.0.1:{proxy.port}",
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
    }
    with System(tmp_path_factory.mktemp("drill"), environment | ours) as running:
        yield running


async def test_dispatcher_killed_between_recording_and_dispatching(system, http, proxy, timed):
    proxy.hold()
    starting = asyncio.create_task(http.post("/api/session/start?waitMs=0", json={"userId": "ann"}))
    held = await until_answer(http, "/api/sessions", lambda each: each["count"] == 1, 5)
    session = held["sessions"][0]["sessionId"]
    os.kill(system.pids["dispatcher"], signal.SIGKILL)
    killed = time.monotonic()
    proxy.let_go()
    with pytest.raises(httpx.HTTPError):
        await starting

    def again() -> bool:
        try:
            return httpx.get(f"{system.url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    await asyncio.to_thread(until, again, 30, "the dispatcher runs again")
    await until_answer(http, f"/api/session/{session}", lambda each: each["status"] == "ready", 30)
    timed("the start is ready", time.monotonic() - killed)
    assert len(await one_agent(system, session)) == 1
    await http.post("/api/session/stop", json={"sessionId": session})


async def test_duplicate_dispatches(system, http, talk):
    await talk.begin()
    ticket = Ticket(talk.session, 1).to_json()
    async with livekit_api(system) as livekit:
        for _ in range(5):
            request = api.CreateAgentDispatchRequest(room=talk.session, agent_name="greenroom", metadata=ticket)
            await livekit.agent_dispatch.create_dispatch(request)
    await talk.recalls()
    assert await one_agent(system, talk.session) == [f"agent-{talk.session}-1"]
    assert (await talk.record(http))["attempt"] == 1


async def test_a_late_claim_and_forged_ones(system, http, talk):
    await talk.begin()
    talk.job.kill()
    await talk.agent_back(time.monotonic(), 2)
    await talk.settled()
    other = (await http.post("/api/session/start", json={})).json()["sessionId"]
    tickets = [Ticket(talk.session, 1), Ticket(talk.session, 2), Ticket(talk.session, 99), Ticket(other, 1)]
    before = await counted(http, 'refused{what="claim"}')
    async with livekit_api(system) as livekit:
        for metadata in [*(each.to_json() for each in tickets), '{"v": 1, "session": 5}', '{"session": "x"}']:
            request = api.CreateAgentDispatchRequest(room=talk.session, agent_name="greenroom", metadata=metadata)
            await livekit.agent_dispatch.create_dispatch(request)
    await talk.recalls()
    assert await one_agent(system, talk.session) == [f"agent-{talk.session}-2"]
    assert await counted(http, 'refused{what="claim"}') >= before + len(tickets)
    record = (await http.get(f"/api/session/{other}")).json()
    assert (record["status"], record["attempt"]) == ("ready", 1)
    await http.post("/api/session/stop", json={"sessionId": other})
