"""A phone in the room: who rings is no caller yet, and who hangs up does not come back."""

from __future__ import annotations

import pytest
from livekit import rtc

from session.record import EndReason
from tests.pipeline.stage import until
from tests.worker.calls import a_call
from tests.worker.room_scene import Scene
from tests.worker.rooms import Participant, Publication

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loaded")]

SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP


def a_phone(status: str) -> Participant:
    phone = Participant("sip_123", kind=SIP)
    phone.attributes["sip.callStatus"] = status
    phone.track_publications["TR_1"] = Publication()
    return phone


async def test_a_phone_is_no_caller_before_it_is_answered() -> None:
    scene = Scene(adopted=True)
    scene.arrive()
    phone = a_phone("ringing")
    scene.room.join(phone)
    assert scene.events.told == []
    assert not scene.room_events.present.is_set()
    assert not phone.track_publications["TR_1"].subscribed
    for status in ("active", "active"):
        phone.attributes["sip.callStatus"] = status
        scene.room.tell("participant_attributes_changed", {"sip.callStatus": status}, phone)
    assert scene.events.told == [("came", "sip_123", "PA_1")]
    assert phone.track_publications["TR_1"].subscribed


@pytest.mark.parametrize("kind", [rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS, 99])
async def test_what_records_a_room_is_never_its_caller(kind: int) -> None:
    scene = Scene(adopted=True)
    scene.arrive()
    scene.room.join(Participant("EG_recorder", kind=kind))
    scene.room.join(a_phone("active"))
    assert scene.events.told == [("came", "sip_123", "PA_1")]


async def test_a_phone_that_rings_is_not_greeted_until_it_is_answered() -> None:
    async with a_call(adopted=True) as scene:
        scene.room.local_participant.publication.heard.set()
        phone = a_phone("ringing")
        scene.room.join(phone)
        await until(lambda: "listening" in scene.states, "the pipeline runs", seconds=20)
        assert await scene.said() == []
        phone.attributes["sip.callStatus"] = "active"
        scene.room.tell("participant_attributes_changed", {"sip.callStatus": "active"}, phone)
        assert await scene.until_said(1) == [("agent", "Good day.")]


@pytest.mark.parametrize(("status", "reason"), [("active", EndReason.CALLER_LEFT), ("ringing", EndReason.NOT_JOINED)])
async def test_a_phone_that_is_gone_ends_the_call_at_once(status: str, reason: EndReason) -> None:
    async with a_call(adopted=True) as scene:  # whose patience is a minute for everything
        await scene.until_ready()
        phone = a_phone(status)
        scene.room.join(phone)
        scene.room.leave(phone, rtc.DisconnectReason.USER_UNAVAILABLE)
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=5)
        await scene.close()
        assert (await scene.session()).end_reason is reason
