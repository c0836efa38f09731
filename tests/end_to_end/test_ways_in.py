"""The three ways into a call, and the ways out of it, on real parts."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import jwt
import pytest
from livekit import api

from bench.harness.system import System, alive, until
from client.caller import Caller, TookTooLong
from session.fence import Ticket, adopted_session_id
from tests.support.asking import until_answer
from tests.support.jobs import job_in_a_call

pytestmark = pytest.mark.anyio


async def _status(http: httpx.AsyncClient, session: str) -> dict[str, Any]:
    return (await http.get(f"/api/session/{session}")).json()


async def _until_status(http: httpx.AsyncClient, session: str, status: str, seconds: float) -> dict[str, Any]:
    return await until_answer(http, f"/api/session/{session}", lambda each: each.get("status") == status, seconds)


def _livekit(system: System) -> api.LiveKitAPI:
    return api.LiveKitAPI(
        system.livekit_url.replace("ws", "http", 1), system.livekit_api_key, system.livekit_api_secret
    )


async def test_a_reserved_token_brings_the_agent_when_the_caller_joins(system, http):
    answer = await http.post("/api/livekit/token", json={"participant_name": "Ann", "room_name": "playground"})
    assert answer.status_code == 201
    body = answer.json()
    reserved = jwt.decode(body["participant_token"], system.livekit_api_secret, algorithms=["HS256"])["video"]["room"]
    assert (await http.get(f"/api/session/{reserved}")).status_code == 404
    assert reserved not in [each["sessionId"] for each in (await http.get("/api/sessions")).json()["sessions"]]
    async with Caller(system.url) as caller:
        await caller.join(body["server_url"], body["participant_token"])
        await caller.wait_for_sound(0.0, timeout=10)
        room = caller.room.name
        assert room == reserved
        assert (await _status(http, room))["status"] == "ready"
        assert room in [each["sessionId"] for each in (await http.get("/api/sessions")).json()["sessions"]]
        await http.post("/api/session/stop", json={"sessionId": room})


async def test_a_room_that_somebody_else_made_is_adopted_once(system, http):
    name = f"foreign-{time.time_ns()}"
    async with _livekit(system) as livekit:
        dispatch = api.RoomAgentDispatch(agent_name="greenroom")
        made = await livekit.room.create_room(api.CreateRoomRequest(name=name, agents=[dispatch]))
        session = adopted_session_id(system.livekit_api_secret, made.sid)
        await _until_status(http, session, "ready", 10)
        token = api.AccessToken(system.livekit_api_key, system.livekit_api_secret).with_identity("phone")
        token = token.with_grants(api.VideoGrants(room_join=True, room=name))
        async with Caller(system.url) as caller:
            await caller.join(system.livekit_url, token.to_jwt())
            await caller.wait_for_sound(0.0, timeout=10)
            await livekit.agent_dispatch.create_dispatch(
                api.CreateAgentDispatchRequest(room=name, agent_name="greenroom")
            )
            with pytest.raises(TookTooLong):
                await caller.wait_for(lambda: len(caller.agents()) > 1, "a second agent", 1.5)
        await http.post("/api/session/stop", json={"sessionId": session})


@pytest.mark.parametrize("metadata", ["{not json", json.dumps({"v": 1, "session": "session_no", "attempt": 1})])
async def test_an_agent_with_tampered_metadata_never_shows_itself(system, metadata):
    name = f"tampered-{time.time_ns()}"
    async with _livekit(system) as livekit:
        dispatch = api.RoomAgentDispatch(agent_name="greenroom", metadata=metadata)
        await livekit.room.create_room(api.CreateRoomRequest(name=name, agents=[dispatch]))
        token = api.AccessToken(system.livekit_api_key, system.livekit_api_secret).with_identity("c")
        token = token.with_grants(api.VideoGrants(room_join=True, room=name))
        async with Caller(system.url) as caller:
            await caller.join(system.livekit_url, token.to_jwt())
            with pytest.raises(TookTooLong):
                await caller.wait_for(lambda: bool(caller.agents()), "an agent", 1.5)
        await livekit.room.delete_room(api.DeleteRoomRequest(room=name))


async def test_a_second_dispatch_of_the_same_attempt_brings_no_second_agent(system, caller):
    await caller.start()
    await caller.join()
    await caller.wait_for_agent(timeout=10)
    async with _livekit(system) as livekit:
        ticket = Ticket(caller.started.session, 1).to_json()
        await livekit.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(room=caller.started.session, agent_name="greenroom", metadata=ticket)
        )
        with pytest.raises(TookTooLong):
            await caller.wait_for(lambda: len(caller.agents()) != 1, "another agent", 1.5)


async def test_a_stop_ends_the_call_and_its_process_within_five_seconds(system, http, caller):
    await caller.start()
    await caller.join()
    await caller.wait_for_agent(timeout=10)
    process = job_in_a_call(system)
    await caller.stop()
    stopped = time.monotonic()
    await caller.wait_for(lambda: caller.lost, "the room closing", 5)
    until(lambda: not alive(process.pid), stopped + 5 - time.monotonic(), "the end of the call's process")
    assert (await _status(http, caller.started.session))["endReason"] == "stopped"
    assert (await http.post("/api/session/stop", json={"sessionId": caller.started.session})).status_code == 200
    await until_answer(http, "/api/health", lambda each: each["sessions"]["pool"] >= 2, 15)


@pytest.mark.faults
async def test_a_caller_who_comes_back_in_time_finds_the_conversation_and_is_not_greeted_again(system, http, speech):
    async with Caller(system.url) as first:
        await first.start(user_id="returning")
        await first.join()
        await first.wait_for_sound(first.asked_at, timeout=10)
        await first.wait_for_quiet(0.8, timeout=10)
        said = await first.speak(speech("My name is Alice."))
        await first.wait_for_sound(said.ended, timeout=10)
        await first.wait_for_quiet(0.8, timeout=10)
    async with Caller(system.url) as again:
        started = await again.start(user_id="returning")
        assert started.reused
        await again.join()
        await again.wait_for_agent(timeout=10)
        said = await again.speak(speech("What is my name?"))
        await again.wait_for_text("agent", "Alice", timeout=10)
        assert "help" not in again.transcript.said("agent").casefold()
        await again.stop()


async def test_a_caller_who_stays_away_ends_the_session(system, http):
    async with Caller(system.url) as caller:
        await caller.start()
        await caller.join()
        await caller.wait_for_agent(timeout=10)
        session = caller.started.session
        await caller.wait_for_sound(caller.asked_at, timeout=10)
    answer = await _until_status(http, session, "ended", 12)
    assert answer["endReason"] == "caller_left"


@pytest.mark.faults
async def test_a_call_nobody_joins_ends(system, http):
    answer = (await http.post("/api/session/start", json={}, params={"waitMs": 3000})).json()
    assert answer["status"] == "ready"
    ended = await _until_status(http, answer["sessionId"], "ended", 25)
    assert ended["endReason"] == "not_joined"


async def test_the_worker_says_that_calls_may_come(system):
    page = f"http://127.0.0.1:{system.ports['GREENROOM_WORKER_PORT']}"
    async with httpx.AsyncClient(base_url=page, trust_env=False) as http:
        assert [(await http.get(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]
