"""A call by telephone, as LiveKit's SIP service brings it into a room of its own: from ringing to hanging up."""

from __future__ import annotations

import json
import time

import pytest
from livekit import api

from client.caller import Caller, TookTooLong
from session.fence import adopted_session_id
from tests.support.asking import until_answer
from tests.support.jobs import job_in_a_call

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

ATTRIBUTES = {
    "sip.callStatus": "ringing",
    "sip.phoneNumber": "+4366012345",
    "sip.trunkPhoneNumber": "+431999",
    "sip.callID": "SCL_1",
    "sip.ruleID": "SDR_1",
}


async def test_a_phone_is_greeted_when_answered_understood_by_key_and_voice_and_known_by_number(system, http, speech):
    name, metadata = f"sip-{time.time_ns()}", json.dumps({"agent": "phone"})
    secrets = (system.livekit_api_key, system.livekit_api_secret)
    async with api.LiveKitAPI(system.livekit_url.replace("ws", "http", 1), *secrets) as livekit:
        dispatch = api.RoomAgentDispatch(agent_name="greenroom", metadata=metadata)
        made = await livekit.room.create_room(api.CreateRoomRequest(name=name, agents=[dispatch]))
    path = f"/api/session/{adopted_session_id(system.livekit_api_secret, made.sid)}"
    grants = api.VideoGrants(room_join=True, room=name, can_update_own_metadata=True)
    token = api.AccessToken(*secrets).with_identity("sip_1").with_grants(grants).with_kind("sip")
    async with Caller(system.url) as phone:
        await phone.join(system.livekit_url, token.with_attributes(ATTRIBUTES).to_jwt())
        await phone.wait_for_agent(10)
        with pytest.raises(TookTooLong):
            await phone.wait_for_sound(0.0, timeout=1.5)
        await phone.room.local_participant.set_attributes({"sip.callStatus": "active"})
        await phone.wait_for_sound(0.0, timeout=10)
        record = await until_answer(http, path, lambda each: each["phone"], 5)
        assert record["phone"] == {"from": "+4366012345", "to": "+431999", "callId": "SCL_1"}
        await phone.wait_for_quiet(0.8, timeout=10)
        for code in (4, 1, 5):
            await phone.room.local_participant.publish_dtmf(code=code, digit=str(code))
        await phone.wait_for_state("speaking", timeout=10)
        await phone.wait_for_quiet(0.8, timeout=10)
        job_in_a_call(system).kill()  # the next agent knows the number, too
        await phone.wait_for_text("agent", "dropped out", timeout=10)
        await phone.wait_for_quiet(0.8, timeout=10)
        await phone.speak(speech("Please tell me my number."))
        await phone.wait_for_text("agent", "12345", timeout=15)
        items = (await http.get(f"{path}/transcript")).json()["items"]
        assert "415" in [each["text"] for each in items if each["speaker"] == "user"]
    hung_up = time.monotonic()
    record = await until_answer(http, path, lambda each: each["status"] == "ended", 10)
    assert time.monotonic() - hung_up < 3  # GREENROOM_HANGUP_GRACE here
    assert (record["endReason"], record["attempt"]) == ("caller_left", 2)
    assert "+43" not in system.log()
