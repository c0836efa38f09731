"""A phone in a real room, as LiveKit's SDKs and its server tell of it."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from livekit import api, rtc

from dispatcher.livekit.port import Participant
from dispatcher.livekit.rooms import open_rooms
from pipeline.agents.tools import Phone
from tests.dispatcher.livekit.test_rooms import CALLERS_URL, limits, told
from tests.pipeline.stage import until
from tests.session.making import a_session
from tests.support.livekit import KEY, SECRET, LiveKit
from tests.support.standin import token
from tests.worker.room_scene import Ears, Events, Reader
from worker.call.phone import phone_of
from worker.call.room_events import RoomEvents

pytestmark = pytest.mark.anyio

CALL = {"phoneNumber": "+431", "trunkPhoneNumber": "+432", "callID": "SCL_1", "ruleID": "SDR_1"}


def special(room: str, identity: str, kind: str, **attributes: str) -> str:
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True, can_publish_data=True)
    made = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants).with_kind(kind)  # type: ignore[arg-type]
    return made.with_attributes({f"sip.{name}": value for name, value in attributes.items()}).to_jwt()


async def test_worker_and_dispatcher_see_who_rings_who_records_who_answers_and_its_keys(livekit: LiveKit) -> None:
    name = f"room-{secrets.token_hex(4)}"
    agent, recorder, phone, events = rtc.Room(), rtc.Room(), rtc.Room(), Events()
    ears: Any = Ears()
    watcher, typed = RoomEvents(agent, a_session(adopted=True), events), Reader()
    try:
        await agent.connect(livekit.url, token(name, "agent", agent=True))
        watcher.arrive(ears, typed)
        await recorder.connect(livekit.url, special(name, "recorder", "egress"))
        await phone.connect(livekit.url, special(name, "sip_123", "sip", callStatus="ringing", **CALL))
        await until(lambda: len(agent.remote_participants) == 2, "the agent sees both", seconds=10)
        assert events.told == []
        async with open_rooms(told(livekit.url), limits(), callers_url=CALLERS_URL) as rooms:
            there = {each.identity: each for each in await rooms.participants(name)}
        assert there["sip_123"] == Participant("sip_123", "SIP", "ringing")
        assert (there["recorder"].kind, there["agent"].kind) == ("EGRESS", "AGENT")
        await phone.local_participant.set_attributes({"sip.callStatus": "active"})
        await until(lambda: events.told, "the phone is the caller", seconds=10)
        assert events.told == [("came", "sip_123", phone.local_participant.sid)]
        assert phone_of(agent.remote_participants["sip_123"]) == Phone("+431", "+432", "SCL_1")
        for code, key in enumerate("12#"):
            await phone.local_participant.publish_dtmf(code=code, digit=key)
        await until(lambda: typed.read, "its keys are answered", seconds=10)
        assert typed.read == ["12"]
    finally:
        watcher.close()
        for room in (phone, recorder, agent):
            await room.disconnect()
