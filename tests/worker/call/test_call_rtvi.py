"""A call whose page speaks RTVI: the record keeps that it asked, and the agent that follows goes on unasked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from livekit import rtc

from session.record import CallerPresence, EndReason, State
from tests.pipeline.stage import until
from tests.worker.calls import CALLER, Scene, a_call
from tests.worker.rooms import Participant
from worker.call.intake import MAX_TEXT_BYTES

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loaded")]


def told(scene: Scene, *types: str) -> list[dict[str, Any]]:
    """What the caller's page was told, of these types."""
    return [each for each in scene.room.local_participant.packets_to(CALLER) if each["type"] in types]


def send(scene: Scene, who: Participant, type_: str, **data: Any) -> None:
    packet = json.dumps({"label": "rtvi-ai", "type": type_, "id": "1", "data": data}).encode()
    sender: Any = who
    scene.room.tell("data_received", rtc.DataPacket(packet, rtc.DataPacketKind.KIND_RELIABLE, sender, ""))


async def test_a_page_that_asks_is_told_of_the_call_and_the_record_keeps_that_it_asked() -> None:
    async with a_call() as scene:
        caller = scene.caller_comes()
        send(scene, caller, "client-ready", version="2.1.0")
        await scene.until_said(1)
        (ready,) = told(scene, "bot-ready")
        assert ready["id"] == "1"
        spoken = [each["data"]["spoken_status"] for each in told(scene, "bot-output")]
        assert spoken == ["new", "completed"]
        await scene.until_kept("the record", lambda session: session.rtvi == "2.1.0")
        send(scene, caller, "send-text", content="What is two plus three?")
        assert (await scene.until_said(2))[1] == ("user", "What is two plus three?")
        send(scene, caller, "send-text", content="x" * MAX_TEXT_BYTES)
        await until(lambda: told(scene, "error"), "the page is told that it sends too much")
        assert not told(scene, "error")[0]["data"]["fatal"]
        send(scene, caller, "disconnect-bot")
        await until(lambda: scene.context.shutdowns, "the call ends")
        await scene.close()
        assert (await scene.session()).end_reason is EndReason.CALLER_LEFT


@pytest.mark.parametrize(
    "session",
    [
        {"rtvi": "2.1.0", "attempt": 2, "recoveries": 1, "greeted": True, "caller": CallerPresence.PRESENT},
        {"rtvi": "2.0.0"},
    ],
    ids=["after a recovery", "said at the start"],
)
async def test_a_page_that_was_there_before_its_agent_is_told_that_it_is_ready(session: dict[str, Any]) -> None:
    async with a_call(state=State.RECOVERING if "recoveries" in session else State.STARTING, **session) as scene:
        scene.caller_comes()
        await until(lambda: told(scene, "bot-ready"), "the agent is ready", seconds=20)
        await until(lambda: len(told(scene, "bot-output")) >= 2, "it speaks", seconds=20)


async def test_a_page_that_never_asks_is_told_nothing() -> None:
    async with a_call() as scene:
        scene.caller_comes()
        await scene.until_said(1)
        assert scene.room.local_participant.packets == []
        assert (await scene.session()).rtvi == ""


@pytest.mark.faults
async def test_a_page_learns_why_its_call_ends() -> None:
    async with a_call(agent="broken") as scene:
        caller = scene.caller_comes()
        send(scene, caller, "client-ready", version="2.1.0")
        await scene.until_said(1)
        send(scene, caller, "send-text", content="Hello?")
        await until(lambda: told(scene, "error"), "the page is told", seconds=20)
        assert told(scene, "error")[0]["data"] == {"error": "provider_failed", "fatal": True}


async def test_a_page_learns_that_its_agent_cannot_begin_though_it_asks_after_that() -> None:
    async with a_call(config={"llm": "groq"}) as scene:
        caller = scene.caller_comes(can_hear=False)
        await until(lambda: scene.room.local_participant.tracks, "the agent is there", seconds=20)
        send(scene, caller, "client-ready", version="2.1.0")
        await until(lambda: told(scene, "error"), "the page is told")
        assert told(scene, "error")[0]["data"] == {"error": "bad_config", "fatal": True}
        assert told(scene, "bot-ready") == []
