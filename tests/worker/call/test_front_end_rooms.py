"""What a page receives of the agent through a real livekit-server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from livekit import rtc

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
    await page.connect(livekit.url, token(name, "caller"))
    await agent.connect(livekit.url, token(name, "agent", agent=True))
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
