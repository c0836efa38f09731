"""What a page sees of the agent: states and words, in order, and never at the call's expense."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit import rtc
from livekit.agents.types import (
    ATTRIBUTE_TRANSCRIPTION_FINAL,
    ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID,
    ATTRIBUTE_TRANSCRIPTION_TRACK_ID,
    TOPIC_TRANSCRIPTION,
)

from session.timing import GIVE_WAY_SECONDS
from tests.pipeline.stage import until
from tests.worker.rooms import FakeRoom, Text
from worker.call.front_end import FrontEnd

pytestmark = pytest.mark.anyio


@pytest.fixture
def room() -> FakeRoom:
    return FakeRoom()


@pytest.fixture
def remembered() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@pytest.fixture
async def page(room: FakeRoom, remembered: asyncio.Event) -> AsyncIterator[FrontEnd]:
    shown: Any = room
    front_end = FrontEnd(shown, remembered.wait)
    front_end.agent_track("TR_agent")
    yield front_end
    await front_end.close()


async def shown(room: FakeRoom, count: int) -> list[Text]:
    texts = room.local_participant.texts
    await until(lambda: len(texts) == count and all(text.closed for text in texts), f"{count} texts are shown")
    return texts


def is_final(text: Text) -> bool:
    return text.attributes[ATTRIBUTE_TRANSCRIPTION_FINAL] == "true"


def segment(text: Text) -> str:
    return text.attributes[ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID]


async def test_each_change_of_state_is_shown_once(room: FakeRoom, page: FrontEnd) -> None:
    for state in ("initializing", "listening", "listening", "thinking", "speaking", "listening"):
        page.state(state)
    await until(lambda: len(room.local_participant.states) >= 5, "all are shown")
    assert room.local_participant.states == ["initializing", "listening", "thinking", "speaking", "listening"]


async def test_the_sentences_of_a_turn_grow_in_one_segment_until_its_end(room: FakeRoom, page: FrontEnd) -> None:
    page.agent_sentence("Hello.")
    page.agent_sentence("How are you?")
    page.agent_said("Hello. How are")
    page.agent_sentence("Yes?")
    texts = await shown(room, 4)
    assert [text.text for text in texts] == ["Hello.", "Hello. How are you?", "Hello. How are", "Yes?"]
    assert [is_final(text) for text in texts] == [False, False, True, False]
    assert len({segment(text) for text in texts[:3]}) == 1
    assert segment(texts[3]) != segment(texts[0])
    assert [text.stream_id for text in texts] == [segment(text) for text in texts]  # pages name lines by it
    for text in texts:
        assert (text.topic, text.sender) == (TOPIC_TRANSCRIPTION, "agent-session_a-1")
        assert text.attributes[ATTRIBUTE_TRANSCRIPTION_TRACK_ID] == "TR_agent"


async def test_a_turn_of_which_nothing_was_heard_is_closed_empty(room: FakeRoom, page: FrontEnd) -> None:
    page.agent_sentence("Hello.")
    page.agent_said("")
    page.agent_sentence("Yes?")
    texts = await shown(room, 3)
    assert [(text.text, is_final(text)) for text in texts] == [("Hello.", False), (" ", True), ("Yes?", False)]
    assert segment(texts[2]) != segment(texts[0])


async def test_a_turn_without_a_sentence_shows_nothing(room: FakeRoom, page: FrontEnd) -> None:
    page.agent_said("")
    page.agent_sentence("Hello.")
    assert [text.text for text in await shown(room, 1)] == ["Hello."]


async def test_the_callers_words_are_shown_as_the_callers(room: FakeRoom, page: FrontEnd) -> None:
    page.caller("caller-session_a", "TR_caller")
    page.user_words("my na", final=False)
    page.user_words("My name is Ada.", final=True)
    page.user_words("And", final=False)
    texts = await shown(room, 3)
    assert [is_final(text) for text in texts] == [False, True, False]
    assert segment(texts[0]) == segment(texts[1]) != segment(texts[2])
    for text in texts:
        assert text.sender == "caller-session_a"
        assert text.attributes[ATTRIBUTE_TRANSCRIPTION_TRACK_ID] == "TR_caller"


async def test_final_words_are_shown_once_they_are_remembered(
    room: FakeRoom, page: FrontEnd, remembered: asyncio.Event
) -> None:
    remembered.clear()
    page.caller("caller-session_a", "TR_caller")
    page.user_words("my na", final=False)
    page.user_words("My name is Ada.", final=True)
    page.agent_sentence("Hello.")
    assert [text.text for text in await shown(room, 1)] == ["my na"]
    remembered.set()
    assert [text.text for text in await shown(room, 3)] == ["my na", "My name is Ada.", "Hello."]


async def test_words_of_nobody_are_not_shown(room: FakeRoom, page: FrontEnd) -> None:
    page.user_words("hello", final=True)
    page.agent_sentence("Hello.")
    assert [text.text for text in await shown(room, 1)] == ["Hello."]


async def test_what_cannot_be_shown_holds_up_nothing(
    room: FakeRoom, page: FrontEnd, caplog: pytest.LogCaptureFixture
) -> None:
    room.local_participant.fails.append(ConnectionError("the page is gone"))
    with caplog.at_level(logging.WARNING):
        page.state("listening")
        page.state("thinking")
        await until(lambda: room.local_participant.states, "the next is shown")
    assert room.local_participant.states == ["thinking"]
    (record,) = caplog.records
    assert record.getMessage().startswith("event=front_end_not_told why=ConnectionError at ")


async def test_a_server_that_does_not_answer_holds_up_no_agent_that_leaves(room: FakeRoom, page: FrontEnd) -> None:
    room.local_participant.confirmed.clear()
    before = time.monotonic()
    await page.give_way()
    assert time.monotonic() - before < GIVE_WAY_SECONDS + 0.2
    room.connection_state = rtc.ConnectionState.CONN_DISCONNECTED
    before = time.monotonic()
    await page.give_way()
    assert time.monotonic() - before < 0.1


async def test_after_its_end_nothing_is_shown(room: FakeRoom, page: FrontEnd) -> None:
    await page.close()
    page.agent_sentence("Hello.")
    page.state("speaking")
    gc.collect()  # a coroutine that was made and never awaited is an error now
    assert room.local_participant.texts == []
    assert room.local_participant.states == []


async def test_the_last_words_are_shown_before_the_end(room: FakeRoom, page: FrontEnd) -> None:
    page.agent_sentence("Goodbye!")
    page.agent_said("Goodbye!")
    await page.close()
    assert [(text.text, is_final(text)) for text in room.local_participant.texts] == [
        ("Goodbye!", False),
        ("Goodbye!", True),
    ]


async def test_a_state_that_the_server_does_not_confirm_holds_up_no_words(room: FakeRoom, page: FrontEnd) -> None:
    room.local_participant.confirmed.clear()
    page.state("speaking")
    page.agent_sentence("Goodbye!")
    page.agent_said("Goodbye!")
    assert len(await shown(room, 2)) == 2
    assert room.local_participant.states == []


async def test_a_notice_is_shown_beside_what_the_agent_says(room: FakeRoom, page: FrontEnd) -> None:
    page.agent_sentence("Hello.")
    page.notice("Too much.")
    spoken, notice = await shown(room, 2)
    assert (notice.text, is_final(notice)) == ("Too much.", True)
    assert segment(notice) != segment(spoken)
