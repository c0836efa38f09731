"""A phone in the room: who rings is no caller yet, and who hangs up does not come back."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from livekit import rtc

from pipeline.agents.tools import Phone
from session.record import EndReason
from tests.pipeline.stage import until
from tests.session.making import a_session
from tests.worker.calls import a_call
from tests.worker.room_scene import Scene
from tests.worker.rooms import Participant, Publication
from worker.call.phone import MAX_CHARACTERS, phone_in, phone_of, recorded

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


FACTS = {"sip.phoneNumber": "+4366012345", "sip.trunkPhoneNumber": "+431999", "sip.callID": "SCL_1"}


def told(kind: int = SIP, **facts: str) -> Phone | None:
    phone: Any = Participant("sip_123", kind=kind)
    phone.attributes |= {**FACTS, **facts}
    return phone_of(phone)


def test_who_called_whom_is_read_in_the_direction_of_the_call() -> None:
    assert told(**{"sip.ruleID": "SDR_1"}) == Phone("+4366012345", "+431999", "SCL_1")
    assert told() == Phone("+431999", "+4366012345", "SCL_1")


def test_what_a_page_says_of_a_phone_is_not_believed_and_a_long_number_is_cut() -> None:
    assert told(kind=rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD) is None
    assert phone_of(None) is None
    cut = told(**{"sip.phoneNumber": "\n1" * 1000})
    assert cut is not None
    assert cut.to_number == "1" * (MAX_CHARACTERS // 2)


def test_what_the_record_keeps_of_a_phone_is_read_again() -> None:
    phone = Phone("+431", "+432", "SCL_1")
    assert phone_in(a_session(phone=recorded(phone))) == phone
    assert phone_in(a_session()) is None


async def test_the_record_and_the_agent_know_who_telephones_and_no_log_does(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with a_call(adopted=True) as scene:
            await scene.until_ready()
            phone = a_phone("active")
            phone.attributes |= {**FACTS, "sip.ruleID": "SDR_1"}
            scene.room.join(phone)
            kept = await scene.until_kept("the phone", lambda session: session.phone)
            assert kept.phone == {"from": "+4366012345", "to": "+431999", "call_id": "SCL_1"}
            conversation = scene.call._conversation
            assert conversation is not None
            assert conversation.call.phone == Phone("+4366012345", "+431999", "SCL_1")
            logs = await scene.store.logs("session_a", limit=100)
    assert "+43" not in caplog.text + str(logs)


async def test_an_agent_that_follows_knows_who_telephones_before_it_meets_the_caller() -> None:
    async with a_call(adopted=True, phone={"from": "+431", "to": "+432", "call_id": "SCL_1"}) as scene:
        await scene.until_ready()
        conversation = scene.call._conversation
        assert conversation is not None
        assert conversation.call.phone == Phone("+431", "+432", "SCL_1")
