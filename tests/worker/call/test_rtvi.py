"""A page that asked is told over RTVI what happens, in Pipecat's order; one that didn't is told nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.talk.turn_observer import Activity
from tests.pipeline.stage import until
from tests.session.making import a_session
from tests.worker.rooms import FakeRoom
from worker.call.rtvi import SEGMENTS, Rtvi

pytestmark = pytest.mark.anyio

CALLER = "caller-session_a"


class Page:
    """A page that takes what it is told; `asked`: what the record was told of it."""

    def __init__(self, **session: Any) -> None:
        self.room, self.asked, self.remembered = FakeRoom(), list[str](), asyncio.Event()
        self.remembered.set()
        room: Any = self.room
        self.rtvi = Rtvi(
            room,
            a_session(**session),
            self.asked.append,
            self.remembered.wait,
            lambda: datetime(2026, 11, 1, 12, tzinfo=UTC),
        )
        self.rtvi.caller(CALLER)

    @property
    def told(self) -> list[dict[str, Any]]:
        return self.room.local_participant.packets_to(CALLER)

    async def types(self, count: int) -> list[str]:
        await until(lambda: len(self.told) >= count, f"{count} messages")
        return [message["type"] for message in self.told]


def everything(rtvi: Rtvi) -> None:
    rtvi.activity(Activity.USER_STARTED)
    rtvi.user_words("Hel", final=False)
    rtvi.user_words("Hello.", final=True)
    rtvi.user_said("Hello.")
    rtvi.typed("7", "Hello.")
    rtvi.agent_sentence("Good day.")
    rtvi.activity(Activity.AGENT_STARTED)
    rtvi.agent_said("Good day.", interrupted=False)
    rtvi.error("lost", fatal=True)
    rtvi.refuse("7", "no")


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    page = Page()
    yield page
    await page.rtvi.close()


async def test_a_page_that_never_asks_is_told_nothing_and_starts_nothing(page: Page) -> None:
    tasks = asyncio.all_tasks()
    page.rtvi.begin()
    everything(page.rtvi)
    assert asyncio.all_tasks() == tasks
    assert page.told == []
    assert page.asked == []


async def test_a_page_that_asks_is_told_that_the_agent_is_ready_and_then_what_happens(page: Page) -> None:
    page.rtvi.begin()
    page.rtvi.client_ready("1", "2.2.0")
    everything(page.rtvi)
    assert await page.types(15) == [
        "bot-ready",
        "user-started-speaking",
        *("user-transcription", "user-input") * 2,
        "user-llm-text",
        "user-input",
        "bot-started-speaking",
        "bot-output",
        "bot-transcription",
        "bot-tts-text",
        "bot-output",
        "error",
        "error-response",
    ]
    assert (page.told[0]["id"], page.asked) == ("1", ["2.2.0"])


async def test_a_page_that_asks_before_the_agent_is_ready_is_told_once_it_is(page: Page) -> None:
    page.rtvi.client_ready("1", "2.1.0")
    page.rtvi.activity(Activity.USER_STARTED)
    page.rtvi.begin()
    assert await page.types(1) == ["bot-ready"]
    assert page.told[0]["id"] == "1"


async def test_a_page_of_another_version_is_warned_and_served(page: Page) -> None:
    page.rtvi.begin()
    page.rtvi.client_ready("1", "0.0.0")
    assert await page.types(2) == ["error-response", "bot-ready"]


async def test_a_page_is_asked_for_nothing_again_when_another_agent_follows() -> None:
    page = Page(rtvi="2.1.0", attempt=3)
    page.rtvi.begin()
    page.rtvi.activity(Activity.AGENT_STARTED)
    page.rtvi.agent_sentence("Sorry.")
    assert await page.types(5) == [
        "bot-ready", "bot-started-speaking", "bot-output", "bot-transcription", "bot-tts-text"
    ]  # fmt: skip
    assert page.told[2]["data"]["segment_id"] == 3 * SEGMENTS + 1
    page.rtvi.client_ready("9", "2.1.0")
    assert page.asked == []
    await page.rtvi.close()


async def test_final_words_are_told_once_they_are_remembered(page: Page) -> None:
    page.rtvi.begin()
    page.rtvi.client_ready("1", "2.1.0")
    page.remembered.clear()
    page.rtvi.user_words("Hel", final=False)
    page.rtvi.user_words("Hello.", final=True)
    assert await page.types(2) == ["bot-ready", "user-transcription"]
    page.remembered.set()
    await page.types(3)
    assert [message["data"]["final"] for message in page.told[1:]] == [False, True]


async def test_what_waits_is_sent_before_the_end_and_nothing_after_it(page: Page) -> None:
    page.rtvi.begin()
    page.rtvi.client_ready("1", "2.1.0")
    page.rtvi.error("lost", fatal=True)
    await page.rtvi.close()
    everything(page.rtvi)
    assert [message["type"] for message in page.told] == ["bot-ready", "error"]
