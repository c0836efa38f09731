"""What a page receives of the agent through a real livekit-server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import rtc
from livekit.agents.types import ATTRIBUTE_TRANSCRIPTION_FINAL, TOPIC_TRANSCRIPTION

from tests.pipeline.stage import until
from tests.support.livekit import LiveKit
from tests.support.standin import token
from worker.call.front_end import FrontEnd

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def agent_and_page(livekit: LiveKit) -> AsyncIterator[tuple[rtc.Room, rtc.Room]]:
    """Two rooms of the SDK: the agent's, and that of its page, which sees the agent."""
    name = f"room-{secrets.token_hex(4)}"
    agent, page = rtc.Room(), rtc.Room()
    # The agent first: of one without a track the others in the room learn 3 s later.
    await agent.connect(livekit.url, token(name, "agent", agent=True))
    await page.connect(livekit.url, token(name, "caller"))
    try:
        await until(lambda: "agent" in page.remote_participants, "the page sees the agent", seconds=10)
        yield agent, page
    finally:
        await agent.disconnect()
        await page.disconnect()


async def test_an_agent_that_gives_way_is_no_agent_to_its_page_when_it_leaves(livekit: LiveKit) -> None:
    left = list[str | None]()
    async with agent_and_page(livekit) as (agent, page):
        page.on("participant_disconnected", lambda who: left.append(who.attributes.get("lk.publish_on_behalf")))
        front_end = FrontEnd(agent, asyncio.Event().wait)
        await front_end.give_way()
        await front_end.close()
        await agent.disconnect()
        await until(lambda: left, "the agent has left", seconds=10)
    assert left == ["successor"]


async def test_the_lines_of_a_turn_keep_their_place_on_the_page_until_what_nobody_heard_is_gone(
    livekit: LiveKit,
) -> None:
    readings = list[asyncio.Task[tuple[str, str, str, str]]]()  # in the order in which the streams began

    async def read(reader: rtc.TextStreamReader, sender: str) -> tuple[str, str, str, str]:
        final = (reader.info.attributes or {})[ATTRIBUTE_TRANSCRIPTION_FINAL]
        return reader.info.stream_id, sender, final, await reader.read_all()

    async with agent_and_page(livekit) as (agent, page):
        page.register_text_stream_handler(
            TOPIC_TRANSCRIPTION, lambda *stream: readings.append(asyncio.create_task(read(*stream), name="read"))
        )
        front_end = FrontEnd(agent, asyncio.Event().wait)
        front_end.agent_sentence("One.")
        front_end.agent_sentence("Two.")
        front_end.agent_said("")
        front_end.agent_sentence("Three.")
        await until(lambda: len(readings) == 4, "the page has all of it", seconds=10)
        streams = await asyncio.gather(*readings)
        await front_end.close()
    assert [stream[1:] for stream in streams] == [
        ("agent", "false", "One."),
        ("agent", "false", "One. Two."),
        ("agent", "true", " "),
        ("agent", "false", "Three."),
    ]
    first, second, third, next_turn = (stream[0] for stream in streams)
    assert first == second == third != next_turn
