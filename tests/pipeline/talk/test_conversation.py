"""A whole conversation with the local brain and voice, its ears left out: what is said, heard, cut off and ended."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    TranscriptionFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipeline.agents.definition import Agent, Extra
from pipeline.agents.tools import repeatable
from pipeline.fallback.retries import PAUSES
from pipeline.settings import PipelineSettings
from pipeline.talk.audio_ends import OUT_RATE
from pipeline.talk.build import Analyzers
from pipeline.talk.conversation import REPEATED_SECONDS, Conversation, Failures
from pipeline.talk.shared_sink import CHUNK
from tests.pipeline.providers.openai_server import text_answer, tools_answer
from tests.pipeline.stage import FakeSink, Notes, until
from tests.pipeline.talks import GREETING, asking, talking, warm

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("errors", "gives_up"),
    [
        ([(False, 0.0)], [False]),
        ([(True, 0.0)], [True]),
        ([(False, 0.0), (False, 1.0)], [False, True]),
        ([(False, 0.0), (True, 1000.0)], [False, True]),
        ([(False, 0.0), (False, REPEATED_SECONDS - 0.1)], [False, True]),
        ([(False, 0.0), (False, REPEATED_SECONDS)], [False, False]),
        ([(False, 0.0), (False, 40.0), (False, 60.0)], [False, False, True]),
        ([(False, 1000.0)], [False]),  # the clock's own zero is not an error
    ],
)
def test_when_a_providers_errors_are_its_failure(errors: list[tuple[bool, float]], gives_up: list[bool]) -> None:
    failures = Failures()
    assert [failures.give_up(permanent=permanent, now=now) for permanent, now in errors] == gives_up


@pytest.fixture(scope="module")
def analyzers() -> Analyzers:
    return warm()


async def test_the_greeting_is_spoken_and_told(analyzers: Analyzers) -> None:
    async with talking(analyzers) as talk:
        await talk.conversation.greet()
        await until(lambda: talk.notes.agent and len(talk.notes.states) == 2, "the greeting is told", seconds=20)
        assert talk.notes.agent == [(GREETING, False)]
        assert talk.notes.sentences == [GREETING]
        assert talk.notes.states == ["speaking", "listening"]
        assert 0.3 < talk.sink.seconds < 3
        assert any(any(chunk) for chunk in talk.sink.chunks), "it is silent"


async def test_typed_words_are_answered_and_not_sent_back_to_the_page_that_shows_them(analyzers: Analyzers) -> None:
    async with talking(analyzers) as talk:
        await talk.conversation.answer("My name is Ada.")
        await until(lambda: talk.notes.agent, "the answer is told", seconds=20)
        assert talk.notes.words == []
        assert talk.notes.user == ["My name is Ada."]
        assert "Ada" in talk.said


async def test_spoken_words_are_told_as_they_come(analyzers: Analyzers) -> None:
    async with talking(analyzers) as talk:
        ears = talk.conversation._built.aggregators.user()
        await ears.queue_frame(InterimTranscriptionFrame("my na", "caller", "now"))
        await ears.queue_frame(TranscriptionFrame("My name is Ada.", "caller", "now"))
        await until(lambda: len(talk.notes.words) == 2, "both are told")
        assert talk.notes.words == [("my na", False), ("My name is Ada.", True)]


async def test_messages_that_an_agents_own_processors_append_are_nobodys_words(analyzers: Analyzers) -> None:
    async with talking(analyzers) as talk:
        ears = talk.conversation._built.aggregators.user()
        await ears.queue_frame(LLMMessagesAppendFrame([{"role": "developer", "content": "Be brief."}], run_llm=False))
        await until(lambda: talk.notes.changes, "it is a change")
        await ears.queue_frame(TranscriptionFrame("My name is Ada.", "caller", "now"))
        await until(lambda: talk.notes.words, "the words are told")
        assert talk.notes.words == [("My name is Ada.", True)]


async def test_final_words_are_in_the_checkpoint_when_they_are_told(
    analyzers: Analyzers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talking(analyzers) as talk:
        kept = list[str]()
        monkeypatch.setattr(
            talk.notes, "user_words", lambda _, *, final: kept.append(talk.conversation.checkpoint().to_json())
        )
        ears = talk.conversation._built.aggregators.user()
        await ears.queue_frame(TranscriptionFrame("My name is Ada.", "caller", "now"))
        await until(lambda: kept, "they are told")
        assert "My name is Ada." in kept[0]


async def test_what_was_said_stays_in_the_conversation(analyzers: Analyzers) -> None:
    async with talking(analyzers) as talk:
        await talk.conversation.answer("My name is Ada.")
        await until(lambda: len(talk.notes.agent) == 1, "the first answer", seconds=20)
        await talk.conversation.answer("What is my name?")
        await until(lambda: len(talk.notes.agent) == 2, "the second answer", seconds=20)
        assert "Ada" in talk.notes.agent[1][0]


async def test_a_hush_leaves_what_was_heard_of_the_sentence(analyzers: Analyzers) -> None:
    text = "One two three four five six seven eight nine ten."
    async with talking(analyzers, plays=False) as talk:
        await talk.conversation.say(text)
        await until(lambda: talk.sink.draining, "the sentence is written", seconds=20)
        talk.sink.unplayed = talk.sink.seconds / 2
        await talk.conversation.hush()
        await until(lambda: talk.notes.agent, "what was heard is told")
        ((heard, interrupted),) = talk.notes.agent
        assert interrupted
        assert re.match(r"One two three four \w+", heard)
        assert text.startswith(heard)
        assert "nine" not in heard


async def test_typed_words_interrupt_the_agent(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await talk.conversation.say("One two three four five six seven eight nine ten.")
        await until(lambda: talk.sink.draining, "the sentence is written", seconds=20)
        talk.sink.unplayed = talk.sink.seconds
        talk.sink.instant = True
        await talk.conversation.answer("My name is Ada.")
        await until(lambda: "Ada" in talk.said, "the answer is told", seconds=20)
        assert talk.sink.clears >= 1
        assert "ten" not in talk.said


async def test_a_goodbye_ends_the_call_once_it_has_been_heard(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await talk.conversation.answer("Goodbye!")
        await until(lambda: talk.sink.draining, "the goodbye is written", seconds=20)
        assert talk.notes.goodbyes == 0
        talk.sink.instant = True
        talk.sink.finish()
        await until(lambda: talk.notes.goodbyes, "the agent wants to end", seconds=20)


async def test_an_apology_is_played_whole_whatever_the_providers_do(analyzers: Analyzers) -> None:
    pcm = b"\7\0" * OUT_RATE
    async with talking(analyzers) as talk:
        await talk.conversation.apologise(pcm)
        assert b"".join(talk.sink.chunks) == pcm
        assert max(map(len, talk.sink.chunks)) == CHUNK
        assert talk.sink.draining == 1


async def test_a_brain_that_refuses_for_good_is_a_failure(analyzers: Analyzers) -> None:
    async with asking(analyzers, 401) as talk:
        await talk.conversation.answer("Are you there?")
        await until(lambda: talk.notes.failures, "the failure is told", seconds=20)
        assert [permanent for _, permanent in talk.notes.failures] == [True]


async def test_a_brain_that_stumbles_once_is_asked_again(analyzers: Analyzers) -> None:
    async with asking(analyzers, 500, 500, text_answer("Here", " I am.")) as talk:
        await talk.conversation.answer("Are you there?")
        await until(lambda: "Here I am." in talk.said, "the answer is told", seconds=20)
        assert talk.notes.failures == []


async def test_a_brain_that_stumbles_again_is_a_failure(analyzers: Analyzers) -> None:
    async with asking(analyzers, 500, patience=1.5) as talk:
        await talk.conversation.answer("Are you there?")
        await until(lambda: talk.notes.failures, "the failure is told", seconds=20)
        assert [permanent for _, permanent in talk.notes.failures] == [False]
        assert len(talk.requests) == 3  # 0.2 and 0.5 s apart


async def test_a_brain_that_says_when_to_come_back_is_not_waited_for_so_long(analyzers: Analyzers) -> None:
    async with asking(analyzers, 429, 429, 429, text_answer("Here", " I am.")) as talk:
        began = time.monotonic()
        await talk.conversation.answer("Are you there?")
        await until(lambda: "Here I am." in talk.said, "the answer is told", seconds=20)
        assert time.monotonic() - began < 8
        assert talk.notes.failures == []


async def test_a_brain_that_hangs_is_a_failure_while_the_caller_still_waits(analyzers: Analyzers) -> None:
    async with asking(analyzers, "hang", patience=1.0) as talk:
        began = time.monotonic()
        await talk.conversation.answer("Are you there?")
        await until(lambda: talk.notes.failures, "the failure is told", seconds=20)
        assert time.monotonic() - began < 3


async def test_words_said_while_a_brain_is_about_to_be_asked_again_are_answered_once(analyzers: Analyzers) -> None:
    async with asking(analyzers, 500, text_answer("Here", " I am.")) as talk:
        await talk.conversation.answer("Are you there?")
        await until(lambda: talk.requests, "the brain is asked", seconds=20)
        await talk.conversation.answer("Hello?")
        await until(lambda: "Here I am." in talk.said, "the answer is told", seconds=20)
        await asyncio.sleep(2 * PAUSES[0])  # after which a second answer would have been asked for
        assert len(talk.requests) == 2


@pytest.mark.parametrize("order", [("quick", "slow"), ("slow", "quick"), ("quick", "mute"), ("slow", "mute")])
async def test_the_tools_of_one_answer_are_one_step(analyzers: Analyzers, order: tuple[str, ...]) -> None:
    over, begun = asyncio.Event(), list[str]()

    async def quick() -> str:
        """Ends at once."""
        begun.append("quick")
        return "a"

    async def slow() -> str:
        """Ends when it is told."""
        begun.append("slow")
        await over.wait()
        return "b"

    async def mute() -> None:
        """Ends when it is told, and says nothing."""
        begun.append("mute")
        await over.wait()

    for function in (quick, slow, mute):
        repeatable(function)
    tools = [quick, slow, mute]
    async with asking(analyzers, tools_answer(*order), text_answer("Both", " done."), tools=tools) as talk:
        await talk.conversation.answer("Do both.")
        await until(lambda: len(begun) == 2, "both run", seconds=20)
        if "quick" in order:  # whose result alone must not be answered
            kept = talk.conversation._built.context.messages
            await until(lambda: any('"a"' in str(each) for each in kept), "the result is kept", seconds=20)
        over.set()
        await until(lambda: "Both done." in talk.said, "the answer is told", seconds=20)
        assert len(talk.requests) == 2
        results = [each["content"] for each in talk.requests[1]["messages"] if each["role"] == "tool"]
        assert len(results) == 2
        assert not any("IN_PROGRESS" in each for each in results)


class Faulty(FrameProcessor):
    """An agent's own processor that fails at each text of the agent."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            raise RuntimeError("the caller's pin is 4711")
        await self.push_frame(frame, direction)


async def test_an_agents_own_processor_that_fails_again_is_the_agents_failure_and_no_providers(
    analyzers: Analyzers, caplog: pytest.LogCaptureFixture
) -> None:
    async with talking(analyzers, processors=lambda _: Extra(before_tts=[Faulty()])) as talk:
        await talk.conversation.answer("My name is Ada.")
        await until(lambda: "task=Faulty" in caplog.text, "the first failure is logged", seconds=20)
        await talk.conversation.answer("What is my name?")
        await until(lambda: talk.notes.faults, "the second is the agent's failure", seconds=20)
    assert talk.notes.failures == []
    assert re.match(r"RuntimeError at tests/pipeline/talk/test_conversation\.py:\d+ < ", talk.notes.faults[0])
    assert "4711" not in caplog.text


async def test_a_conversation_that_never_ran_can_be_stopped(analyzers: Analyzers) -> None:
    settings = PipelineSettings(turn="silence")
    agent = Agent(name="a", prompt="Be kind.", greeting=GREETING).resolve(settings)
    conversation = Conversation(agent, settings, analyzers, sink=FakeSink(), listener=Notes(), session_id="session_a")
    await conversation.stop()
    assert not conversation._started.is_set()
