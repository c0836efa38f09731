"""What a caller types over the agent: everything stands in the order in which it was said, and is answered."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from pipecat.frames.frames import TranscriptionFrame, VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame

from pipeline.talk.build import Analyzers
from tests.pipeline.providers.openai_server import chunk, text_answer, tools_answer
from tests.pipeline.stage import until
from tests.pipeline.talks import Talk, asking, talking, warm

pytestmark = pytest.mark.anyio

LONG = "One two three four five six seven eight nine ten."


@pytest.fixture(scope="module")
def analyzers() -> Analyzers:
    return warm()


def said(talk: Talk) -> list[tuple[str, str]]:
    """Role and words of what is kept; of a tool's call its name, of its result what the brain is told."""
    kept = []
    for message in talk.conversation.checkpoint().messages:
        calls = message.get("tool_calls") or [{"function": {"name": message.get("content")}}]
        kept += [(message["role"], call["function"]["name"]) for call in calls]
    return kept


async def half_heard(talk: Talk, text: str = LONG) -> None:
    """The agent speaks, and half of it has been heard."""
    draining = talk.sink.draining
    await talk.conversation.say(text)
    await until(lambda: talk.sink.draining > draining, "the sentence is written", seconds=20)
    talk.sink.unplayed = talk.sink.seconds / 2


async def test_a_sentence_cut_by_typing_stands_before_the_words_that_cut_it(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await half_heard(talk)
        talk.sink.instant = True
        await talk.conversation.answer("My name is Ada.")
        await until(lambda: "Ada" in talk.said, "the words are answered", seconds=20)
        assert [role for role, _ in said(talk)] == ["assistant", "user", "assistant"]
        assert re.match(r"One two three four \w+$", said(talk)[0][1])
        assert talk.notes.speakers == ["agent", "user", "agent"]


async def test_messages_typed_one_after_the_other_are_all_kept_in_their_order(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await half_heard(talk)
        talk.sink.instant = True
        typed = ["1", "2", "3", "4", "My name is Ada."]
        await asyncio.gather(*(talk.conversation.answer(text) for text in typed))
        await until(lambda: "Ada" in talk.said, "the last is answered", seconds=20)
        assert talk.notes.user == typed
        assert [words for role, words in said(talk) if role == "user"] == typed
        assert said(talk)[0][0] == "assistant"


async def test_words_typed_into_a_turn_of_speech_come_behind_what_was_said(analyzers: Analyzers) -> None:
    async with talking(analyzers) as talk:
        ears = talk.conversation._built.floor
        await ears.queue_frame(VADUserStartedSpeakingFrame())
        await ears.queue_frame(TranscriptionFrame("My name is Ada.", "caller", "now"))
        pending = talk.conversation._built.aggregators.user().aggregation_string
        await until(pending, "the words are known")
        await ears.queue_frame(VADUserStoppedSpeakingFrame())
        await talk.conversation.answer("What is my name?")
        await until(lambda: "Your name is Ada" in talk.said, "the typed words are answered", seconds=20)
        assert talk.notes.user == ["My name is Ada.", "What is my name?"]
        assert [words for role, words in said(talk) if role == "user"] == talk.notes.user


async def test_words_that_come_after_a_hush_stand_behind_what_was_heard(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await half_heard(talk)
        talk.sink.instant = True
        await asyncio.gather(talk.conversation.hush(), talk.conversation.answer("My name is Ada."))
        await until(lambda: "Ada" in talk.said, "the words are answered", seconds=20)
        assert [role for role, _ in said(talk)] == ["assistant", "user", "assistant"]


@pytest.mark.parametrize("words", [(), ("Let", " me", " see.")])
async def test_a_tool_that_typing_interrupts_is_cancelled_before_the_words(
    analyzers: Analyzers, words: tuple[str, ...]
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def look_up() -> str:
        """Never ends."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    calls: list[Any] = [*[chunk({"content": word}) for word in words], *tools_answer("look_up")]
    async with asking(analyzers, calls, text_answer("Fine", "."), tools=[look_up], plays=False) as talk:
        await talk.conversation.answer("Look it up.")
        await until(begun.is_set, "the tool runs", seconds=20)
        if words:
            await until(lambda: talk.sink.draining, "the words before it are under way", seconds=20)
        talk.sink.instant = True
        await talk.conversation.answer("Never mind.")
        await until(lambda: "Fine." in talk.said, "the words are answered", seconds=20)
        assert cancelled.is_set()
        kept = [each for each in said(talk) if not each[1].startswith("Let")]
        before = [("user", "Look it up."), ("assistant", "look_up"), ("tool", "CANCELLED")]
        assert kept == [*before, ("user", "Never mind."), ("assistant", "Fine.")]
        asked = [message.get("content") for message in talk.requests[-1]["messages"]]
        assert asked[-2:] == ["CANCELLED", "Never mind."]
        assert talk.conversation.checkpoint().journal == ()


@pytest.mark.parametrize("typed", [True, False])
async def test_words_over_the_goodbye_call_off_the_end(analyzers: Analyzers, typed: bool) -> None:
    answers = [tools_answer("end_call"), text_answer("Goodbye", "."), text_answer("It", " is", " noon.")]
    async with asking(analyzers, *answers, plays=False) as talk:
        await talk.conversation.answer("Bye.")
        await until(lambda: talk.sink.draining, "the goodbye is under way", seconds=20)
        assert talk.conversation.checkpoint().leaving
        talk.sink.instant = True
        question = "Wait, one more question."
        if typed:
            await talk.conversation.answer(question)
        else:
            ears = talk.conversation._built.floor
            await ears.queue_frame(VADUserStartedSpeakingFrame())
            await until(lambda: talk.sink.clears, "the agent falls silent")
            await talk.conversation._built.floor.queue_frame(TranscriptionFrame(question, "caller", "now"))
            await ears.queue_frame(VADUserStoppedSpeakingFrame())
        await until(lambda: "It is noon." in talk.said, "the question is answered", seconds=20)
        assert question in talk.notes.user
        assert not talk.conversation.checkpoint().leaving
        assert talk.notes.goodbyes == 0


async def test_an_agent_that_ends_the_call_without_a_word_says_goodbye_of_its_own(analyzers: Analyzers) -> None:
    answers = [tools_answer("end_call"), text_answer()]
    async with asking(analyzers, *answers, goodbye="So long.") as talk:
        await talk.conversation.answer("Bye.")
        await until(lambda: talk.notes.goodbyes, "the agent wants to end", seconds=20)
        assert talk.said == "So long."
        assert len(talk.requests) == 2
