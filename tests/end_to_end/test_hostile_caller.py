"""A caller sends far more than people do: its own call goes on, and the agent's process stays small."""

from __future__ import annotations

import asyncio
import json
import time

import psutil
import pytest
from livekit.agents.types import TOPIC_CHAT

from client.caller import Caller
from tests.support.asking import until_answer
from worker.call.intake import BURST, PER_SECOND
from worker.call.pre_connect import TOPIC

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

MB = 1024 * 1024
MOST_GROWTH = 60 * MB  # of all job processes together; a stream of 200 MB grew one by 342 MB once


async def _greeted(caller: Caller) -> str:
    await caller.start()
    await caller.join()
    await caller.wait_for_sound(caller.asked_at, timeout=10)
    await caller.wait_for_quiet(0.8, timeout=10)
    assert caller.started is not None
    return caller.started.session


async def _knows(caller: Caller, color: str) -> None:
    """The agent still listens: it learns something new and says it."""
    deadline = time.monotonic() + 20
    while color not in caller.transcript.said("agent"):  # a message that comes too soon after a flood is not taken
        assert time.monotonic() < deadline, caller.transcript.said("agent")
        await caller.write(f"My favourite color is {color}.")
        await asyncio.sleep(1)


def _sizes(system) -> int:
    return sum(each.memory_info().rss for each in psutil.Process(system.pids["worker"]).children(recursive=True))


async def test_long_messages_do_not_freeze_the_agent(caller, http):
    session = await _greeted(caller)
    for _ in range(3):
        await caller.write("a. " * 1333)
    await _knows(caller, "green")
    record = (await http.get(f"/api/session/{session}")).json()
    assert (record["status"], record["attempt"]) == ("ready", 1)


async def test_streams_without_end_are_not_kept(system, caller, http):
    session = await _greeted(caller)
    before = _sizes(system)
    sender = caller.room.local_participant
    await sender.send_text("x" * (40 * MB), topic=TOPIC_CHAT)
    writer = await sender.stream_bytes("early", topic=TOPIC, mime_type="audio/pcm")
    for _ in range(20):
        await writer.write(bytes(MB))
    await writer.aclose()
    for number in range(100):
        await sender.send_text("hello", topic=f"topic-of-mine-{number}")
    await _knows(caller, "blue")
    assert _sizes(system) - before < MOST_GROWTH
    assert "topic-of-mine" not in system.log()
    assert (await http.get(f"/api/session/{session}")).json()["attempt"] == 1


async def test_a_flood_of_messages_costs_no_record_of_the_call(system, caller, http):
    session = await _greeted(caller)
    for first in range(0, 2000, 100):
        await asyncio.gather(*(caller.write(f"message {first + each}") for each in range(100)))
    await _knows(caller, "red")
    lines = [line for line in system.log().splitlines() if session in line]
    assert len(lines) < 100
    logs = (await http.get(f"/api/session/{session}/logs", params={"limit": 100})).json()["logs"]
    assert [line["event"] for line in logs].count("typed_dropped") == 1
    await caller.stop()
    record = await until_answer(http, f"/api/session/{session}", lambda each: each["status"] == "ended", 10)
    assert record["endReason"] == "stopped"


async def test_a_flood_of_requests_over_rtvi_costs_neither_the_call_nor_its_record(system, caller, http):
    session = await _greeted(caller)
    told = []
    caller.room.on("data_received", lambda packet: told.append(json.loads(packet.data)["type"]))
    sender = caller.room.local_participant

    async def send(type_, **data):
        message = json.dumps({"label": "rtvi-ai", "type": type_, "id": "1", "data": data})
        await sender.publish_data(message, reliable=True)

    await send("client-ready", version="2.1.0")
    began = time.monotonic()
    for _ in range(20):
        await asyncio.gather(send("ui-snapshot", tree="x" * 50_000), *(send("ui-event", event="e") for _ in range(99)))
    flooded = time.monotonic() - began
    await _knows(caller, "purple")
    assert 0 < told.count("error-response") <= BURST + PER_SECOND * (flooded + 2)
    assert told.count("error") == 1
    lines = [line for line in system.log().splitlines() if session in line]
    assert len(lines) < 100
    assert (await http.get(f"/api/session/{session}")).json()["attempt"] == 1
