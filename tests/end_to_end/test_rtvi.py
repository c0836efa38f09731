"""A page that speaks RTVI, as Pipecat's client does, in a real call: what it is told, and what it may ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from livekit import rtc

from client.caller import Caller
from tests.support.asking import until_answer
from tests.support.jobs import job_in_a_call

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


class Page:
    """What Pipecat's LiveKit transport does: reliable packets without a topic, `client-ready` once, first of all."""

    def __init__(self, caller: Caller) -> None:
        self.caller, self.told = caller, list[dict[str, Any]]()
        caller.room.on("data_received", self._received)

    def _received(self, packet: rtc.DataPacket) -> None:
        if not packet.topic:
            self.told.append(json.loads(packet.data))

    async def send(self, type_: str, id_: str, **data: Any) -> None:
        message = {"label": "rtvi-ai", "type": type_, "id": id_, "data": data}
        await self.caller.room.local_participant.publish_data(json.dumps(message), reliable=True)

    async def ready(self) -> None:
        await self.send("client-ready", "1", version="2.1.0", about={"library": "@pipecat-ai/client-js"})

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.told if message["type"] == type_]

    async def until(self, type_: str, count: int = 1, **data: Any) -> list[dict[str, Any]]:
        """The messages of this type with these data, once there are so many."""

        def there() -> list[dict[str, Any]] | None:
            found = [each for each in self.of(type_) if data.items() <= each.get("data", {}).items()]
            return found if len(found) >= count else None

        return await self.caller.wait_for(there, f"{count} {type_} {data}", 15)


async def _greeted(caller: Caller) -> None:
    await caller.start()
    await caller.join()
    await caller.wait_for_agent(10)


async def test_a_page_of_pipecats_sees_a_call_and_takes_part_in_it(system, caller, http, speech):
    page = Page(caller)
    await _greeted(caller)
    await page.ready()
    (ready,) = await page.until("bot-ready")
    assert (ready["id"], ready["data"]["version"]) == ("1", "2.2.0")
    await caller.wait_for_quiet(0.8, timeout=10)
    before = len(page.told)
    await caller.wait_for_quiet(2.5, timeout=10)
    assert len(page.told) == before  # in silence nothing is sent
    await caller.speak(speech("What is twelve plus thirty?"))
    await page.until("user-transcription", final=True)
    await page.until("bot-output", text="12 plus 30 is 42.", spoken_status="completed")
    await caller.wait_for_quiet(0.8, timeout=10)
    page.told.clear()
    await page.send("send-text", "7", content="My name is Ada.", options={})
    (answer, *_) = await page.until("bot-transcription")
    assert "Ada" in answer["data"]["text"]
    await page.send("send-file", "8", content="x")
    (refused,) = await page.until("error-response")
    assert (refused["id"], refused["data"]["error"]) == ("8", "Unsupported type send-file")
    types = [message["type"] for message in page.told]
    assert types.index("bot-llm-started") < types.index("bot-started-speaking") < types.index("bot-output")
    await page.send("disconnect-bot", "9")
    record = await until_answer(
        http, f"/api/session/{caller.started.session}", lambda each: each["status"] == "ended", 10
    )
    assert record["endReason"] == "caller_left"


async def test_the_page_goes_on_with_the_agent_that_follows_one_that_was_killed(system, caller):
    page = Page(caller)
    await _greeted(caller)
    await page.ready()
    await page.until("bot-ready")
    await caller.wait_for_quiet(0.8, timeout=10)
    (before, *_) = page.of("bot-output") or await page.until("bot-output")
    job_in_a_call(system).kill()
    await page.until("bot-ready", 2)
    (after, *_) = await page.until("bot-output", text="Sorry, I dropped out for a moment.")
    assert after["data"]["segment_id"] > before["data"]["segment_id"] + 1000


async def test_a_page_that_never_asks_is_told_nothing(system, caller):
    page = Page(caller)
    await _greeted(caller)
    await caller.wait_for_quiet(0.8, timeout=10)
    await caller.write("My name is Ada.")
    await caller.wait_for_text("agent", "Ada", timeout=10)
    assert page.told == []
