"""A cough, music or a listener's "uh-huh" over the agent: it is silent at once, and goes on as if nothing had been."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import TranscriptionFrame, VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame

from pipeline.frames import NoWordsFrame
from pipeline.talk.build import Analyzers
from pipeline.talk.turn_stop import LATE_SECONDS
from tests.pipeline.providers.openai_server import text_answer, tools_answer
from tests.pipeline.stage import until
from tests.pipeline.talks import Talk, asking, talking, warm

pytestmark = pytest.mark.anyio

LONG = "One two three four five six seven eight nine ten."
QUESTION = "Would you like me to send the whole of it to you by mail?"


@pytest.fixture(scope="module")
def analyzers() -> Analyzers:
    return warm()


async def half_heard(talk: Talk, text: str = LONG) -> None:
    """The agent speaks, and half of it has been heard."""
    await talk.conversation.say(text)
    await until(lambda: talk.sink.draining, "the sentence is written", seconds=20)
    talk.sink.unplayed = talk.sink.seconds / 2


async def sound(talk: Talk, words: str = "") -> None:
    """The caller makes a sound, with these words in it if any; returns when it is over, and before its turn is."""
    ears = talk.conversation._built.aggregators.user()
    clears = talk.sink.clears
    await ears.queue_frame(VADUserStartedSpeakingFrame(start_secs=0.2))
    await until(lambda: talk.notes.states[-1:] == ["listening"], "the agent listens")
    if talk.sink.draining:
        await until(lambda: talk.sink.clears > clears, "the agent is silent at once")
    await ears.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2))
    heard = TranscriptionFrame(words, "", "", finalized=True) if words else NoWordsFrame()
    await talk.conversation._built.floor.queue_frame(heard)


async def test_the_agent_goes_on_with_the_sentence_each_time(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await half_heard(talk)
        for waited in (1, 2):
            begun = talk.sink.seconds
            await sound(talk)
            await until(lambda: talk.sink.draining > waited, "the rest is written")  # noqa: B023
            assert talk.notes.states[-1] == "speaking"
            assert talk.sink.seconds - begun > 1.0
            talk.sink.unplayed = 0.4
        talk.sink.finish()
        await until(lambda: talk.notes.agent, "the sentence is told")
        assert talk.notes.agent == [(LONG, False)]
        assert talk.notes.user == []
        assert talk.notes.states == ["speaking", *["listening", "speaking"] * 2, "listening"]
        assert [message["role"] for message in talk.conversation.checkpoint().messages] == ["assistant"]


@pytest.mark.parametrize("words", ["Uh-huh.", "Right.", "Okay."])
async def test_a_listeners_words_leave_the_agent_its_turn(analyzers: Analyzers, words: str) -> None:
    async with talking(analyzers, plays=False) as talk:
        await half_heard(talk)
        waited = talk.sink.draining
        await sound(talk, words)
        await until(lambda: talk.sink.draining > waited, "the rest is written")
        talk.sink.finish()
        await until(lambda: talk.notes.agent, "the sentence is told")
        assert talk.notes.agent == [(LONG, False)]
        assert talk.notes.user == talk.notes.words == []


@pytest.mark.parametrize("words", ["Yes.", "No.", "Right.", "Seven."])
@pytest.mark.parametrize("heard_out", [False, True])
async def test_over_a_question_and_just_after_it_they_are_its_answer(
    analyzers: Analyzers, words: str, heard_out: bool
) -> None:
    async with asking(analyzers, text_answer("Very", " well."), plays=False) as talk:
        await half_heard(talk, QUESTION)
        if heard_out:
            talk.sink.finish()
            await until(lambda: talk.notes.agent, "the question is told")
            talk.sink.draining = 0
        talk.sink.instant = True
        await sound(talk, words)
        await until(lambda: "Very well." in talk.said, "the answer is answered", seconds=20)
        assert talk.notes.user == [words]
        assert talk.notes.agent[0][1] is not heard_out
        roles = [message["role"] for message in talk.conversation.checkpoint().messages]
        assert roles == ["assistant", "user", "assistant"], "what was heard of the question stands before its answer"


async def test_words_interrupt_and_what_was_heard_stands_before_them(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await half_heard(talk)
        talk.sink.instant = True
        await sound(talk, "My name is Ada.")
        await until(lambda: "Ada" in talk.said, "the words are answered", seconds=20)
        assert talk.notes.agent[0][1]
        assert talk.notes.agent[0][0].startswith("One two")
        assert [message["role"] for message in talk.conversation.checkpoint().messages][:2] == ["assistant", "user"]
        assert talk.notes.states[:3] == ["speaking", "listening", "thinking"]


async def test_a_typed_question_is_answered_although_a_sound_came_before_its_answer(analyzers: Analyzers) -> None:
    async with asking(analyzers, text_answer("It", " is", " noon."), plays=True) as talk:
        ears = talk.conversation._built.aggregators.user()
        await ears.queue_frame(VADUserStartedSpeakingFrame(start_secs=0.2))
        await until(lambda: talk.notes.states, "the agent listens")
        await talk.conversation.answer("What time is it?")
        await ears.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await until(lambda: talk.notes.agent, "the question is answered", seconds=20)
        assert talk.notes.agent == [("It is noon.", False)]
        assert len(talk.requests) == 1


async def test_a_tools_result_that_comes_during_a_sound_is_told(analyzers: Analyzers) -> None:
    begun, done, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def look_up() -> str:
        """Ends when it is told to."""
        begun.set()
        try:
            await done.wait()
            return "blue"
        finally:
            ended.set()

    answers: list[Any] = [tools_answer("look_up"), text_answer("It", " is", " blue.")]
    async with asking(analyzers, *answers, tools=[look_up], plays=True) as talk:
        await talk.conversation.answer("Look it up.")
        await until(begun.is_set, "the tool runs", seconds=20)
        ears = talk.conversation._built.aggregators.user()
        await ears.queue_frame(VADUserStartedSpeakingFrame(start_secs=0.2))
        await until(lambda: talk.notes.states, "the agent listens")
        done.set()
        kept = talk.conversation.checkpoint
        await until(lambda: any(m.get("content") == '"blue"' for m in kept().messages), "the result is there")
        assert len(talk.requests) == 1, "the caller seems to speak"
        await ears.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await until(lambda: "It is blue." in talk.said, "the result is told", seconds=LATE_SECONDS + 20)
        assert len(talk.requests) == 2


async def test_words_that_come_late_are_a_turn_of_their_own(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await half_heard(talk)
        await sound(talk)
        await until(lambda: talk.sink.draining > 1, "the agent goes on")
        talk.sink.instant = True
        late = TranscriptionFrame("My name is Ada.", "", "", finalized=True)
        await talk.conversation._built.floor.queue_frame(late)
        await until(lambda: "Ada" in talk.said, "they are answered", seconds=20)
        assert talk.notes.user == ["My name is Ada."]
        assert talk.notes.agent[0][1]
