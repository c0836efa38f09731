"""One brain made of several, over real HTTP: each fails in its way, and the caller hears one whole answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.fallback.candidates import Candidate
from pipeline.fallback.retries import PAUSES
from pipeline.providers import Provider, make_llm
from pipeline.settings import PipelineSettings
from pipeline.talk.build import Analyzers
from tests.pipeline.providers.openai_server import OpenAIServer, chunk, text_answer, tool_answer
from tests.pipeline.stage import until
from tests.pipeline.talks import MOMENT_PCM, Talk, asking, talking, warm

pytestmark = pytest.mark.anyio

BROKEN = [chunk({"content": "It is open."}), chunk({"content": " It clo"}), {"pause": 0.1}, {"break": True}]
BEGINNING = {"role": "assistant", "content": "It is open."}


@pytest.fixture(scope="module")
def analyzers() -> Analyzers:
    return warm()


@asynccontextmanager
async def several(
    analyzers: Analyzers, *servers: Any, patience: float = 8.0, **more: Any
) -> AsyncIterator[tuple[Talk, list[OpenAIServer]]]:
    """A conversation whose brains are servers that give these answers, each a list of them."""
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(OpenAIServer(*answers).serving()) for answers in servers]
        brains = []
        for at, server in enumerate(running):
            settings = PipelineSettings(
                _env_file=None,
                turn="silence",
                answer_seconds=patience,
                openai_base_url=server.url,
                openai_server_key=SecretStr("key"),
            )
            make = partial(make_llm, Provider("openai-compatible", {"model": "tiny"}), settings)
            brains.append(Candidate(f"brain_{at}", f"llm/{at}", make))
        async with talking(analyzers, settings, brains=brains, **more) as talk:
            yield talk, running


def asked(server: OpenAIServer) -> list[Any]:
    """What came behind the prompt, by request."""
    return [request["messages"] for request in server.requests]


async def said(talk: Talk, text: str) -> None:
    await until(lambda: talk.said == text, f"{text!r} is told", seconds=20)


async def test_an_answer_that_breaks_off_goes_on_where_it_was_and_nothing_is_said_twice(analyzers: Analyzers) -> None:
    async with asking(analyzers, BROKEN, text_answer("It closes at six.")) as talk:
        began = time.monotonic()
        await talk.conversation.answer("When?")
        await until(lambda: len(talk.requests) == 2, "it is asked again", seconds=5)
        assert time.monotonic() - began < 1.5
        assert talk.requests[1]["messages"][-1] == BEGINNING
        await said(talk, "It is open. It closes at six.")
        assert talk.notes.sentences == ["It is open.", "It closes at six."]
        assert talk.notes.failures == []
        assert [message["content"] for message in talk.conversation.checkpoint().messages] == ["When?", talk.said]


async def test_an_answer_that_breaks_off_before_a_word_was_spoken_is_asked_for_as_a_whole(analyzers: Analyzers) -> None:
    first = [chunk({"content": "It is"}), {"hang": True}]
    async with several(analyzers, [first], [text_answer("It closes at six.")], patience=2.0) as (talk, (_, second)):
        await talk.conversation.answer("When?")
        await said(talk, "It closes at six.")
        assert asked(second)[0][-1] == {"role": "user", "content": "When?"}


async def test_an_answer_that_begins_again_is_not_said_twice(analyzers: Analyzers) -> None:
    async with asking(analyzers, BROKEN, text_answer("It is", " open.", " It closes", " at six.")) as talk:
        await talk.conversation.answer("When?")
        await said(talk, "It is open. It closes at six.")


async def test_a_brain_that_always_breaks_off_is_used_up(analyzers: Analyzers) -> None:
    async with asking(analyzers, BROKEN, patience=1.5) as talk:
        await talk.conversation.answer("When?")
        await until(lambda: talk.notes.failures, "it is given up", seconds=10)
        assert talk.notes.failures == [("openai-compatible", False)]
        assert talk.notes.sentences == ["It is open."]


async def test_a_brain_that_stops_in_mid_answer_is_asked_again(analyzers: Analyzers) -> None:
    stuck = [*BROKEN[:2], {"hang": True}]
    async with asking(analyzers, stuck, text_answer("It closes at six."), patience=1.5) as talk:
        await talk.conversation.answer("When?")
        await said(talk, "It is open. It closes at six.")
        assert talk.notes.failures == []


@pytest.mark.faults
async def test_an_outage_of_three_seconds_ends_no_call(analyzers: Analyzers) -> None:
    outage = [503] * 4
    assert sum(PAUSES[:3]) < 3 < sum(PAUSES[:4])
    async with asking(analyzers, *outage, text_answer("Here I am.")) as talk:
        await talk.conversation.answer("Are you there?")
        await said(talk, "Here I am.")
        assert talk.notes.failures == []


@pytest.mark.parametrize("nothing", ["", "🙂", "<think>He is rude.</think>"])
async def test_an_answer_without_a_word_is_asked_for_once_more(analyzers: Analyzers, nothing: str) -> None:
    async with asking(analyzers, text_answer(nothing), text_answer("Here I am.")) as talk:
        await talk.conversation.answer("Are you there?")
        await said(talk, "Here I am.")
        empty = {"provider": "openai-compatible", "again": True, "count": 1}
        assert talk.notes.log == [("empty_answer", empty)]


async def test_a_brain_that_has_no_word_twice_is_stood_in_for(analyzers: Analyzers) -> None:
    async with asking(analyzers, text_answer("🙂"), no_answer="Say that again?") as talk:
        await talk.conversation.answer("Are you there?")
        await said(talk, "Say that again?")
        assert (len(talk.requests), talk.notes.failures) == (2, [])
        assert [facts["again"] for event, facts in talk.notes.log if event == "empty_answer"] == [True, False]


async def test_an_answer_of_tools_alone_is_not_empty_and_a_silent_goodbye_is_none(analyzers: Analyzers) -> None:
    async with asking(analyzers, tool_answer("end_call", "{}"), text_answer("")) as talk:
        await talk.conversation.answer("Goodbye.")
        await until(lambda: len(talk.requests) == 2, "the goodbye is asked for", seconds=10)
        await asyncio.sleep(0.5)
        assert (len(talk.requests), talk.notes.log) == (2, [])


async def test_one_that_fails_is_left_for_the_next_at_once_and_for_the_rest_of_the_call(analyzers: Analyzers) -> None:
    async with several(analyzers, [503], [text_answer("Here I am.")]) as (talk, (first, second)):
        began = time.monotonic()
        await talk.conversation.answer("Are you there?")
        await until(lambda: second.requests, "the second is asked", seconds=5)
        assert time.monotonic() - began < 1
        await said(talk, "Here I am.")
        await talk.conversation.answer("Still?")
        await until(lambda: len(second.requests) == 2, "it is asked again", seconds=5)
        assert len(first.requests) == 1
        assert talk.notes.log == [("llm_failed", {"provider": "brain_0", "why": "server"})]
        assert asked(second)[0] == asked(first)[0]


async def test_one_that_hangs_is_left_in_time_and_its_late_words_are_dropped(analyzers: Analyzers) -> None:
    late = [{"pause": 1.9}, *text_answer("Too late.")]
    async with several(analyzers, [late], [text_answer("Here I am.")], patience=2.0) as (talk, (first, second)):
        began = time.monotonic()
        await talk.conversation.answer("Are you there?")
        await until(lambda: second.requests, "the second is asked", seconds=5)
        assert 0.9 < time.monotonic() - began < 1.8  # LEAST_SECONDS; 3.5 of 8 are 0.875 of 2
        await said(talk, "Here I am.")
        await asyncio.sleep(1.5)
        assert (talk.said, len(first.requests), talk.notes.failures) == ("Here I am.", 1, [])


async def test_one_that_stops_in_mid_answer_is_left_and_the_next_goes_on(analyzers: Analyzers) -> None:
    stuck = [chunk({"content": "It is open."}), chunk({"content": " It clo"}), {"hang": True}]
    async with several(analyzers, [stuck], [text_answer("It closes at six.")], patience=2.0) as (talk, (_, second)):
        await talk.conversation.answer("When?")
        await said(talk, "It is open. It closes at six.")
        assert asked(second)[0][-1] == BEGINNING


@pytest.mark.faults
async def test_when_none_answers_our_sentence_is_heard_in_time_and_the_call_ends(analyzers: Analyzers) -> None:
    async with several(analyzers, ["hang"], ["hang"], patience=3.0) as (talk, _):
        began = time.monotonic()
        await talk.conversation.answer("Are you there?")
        await until(lambda: MOMENT_PCM in b"".join(talk.sink.chunks), "ours is heard", seconds=4)
        assert time.monotonic() - began <= 3.25
        await until(lambda: talk.notes.failures, "the call ends", seconds=5)
        assert talk.notes.failures == [("brain_1", False)]


async def test_only_when_every_one_refuses_for_good_the_call_ends(analyzers: Analyzers) -> None:
    async with several(analyzers, [401], [404]) as (talk, (first, second)):
        await talk.conversation.answer("Are you there?")
        await until(lambda: talk.notes.failures, "the call ends", seconds=5)
        assert talk.notes.failures == [("brain_1", True)]
        assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_one_that_takes_no_beginning_of_an_answer_is_not_at_fault(analyzers: Analyzers) -> None:
    async with asking(analyzers, BROKEN, 400, text_answer("Yes.")) as talk:
        await talk.conversation.answer("When?")
        await said(talk, "It is open.")
        await talk.conversation.answer("Really?")
        await said(talk, "It is open. Yes.")
        assert talk.notes.failures == []


async def test_a_tool_runs_on_the_one_that_asks_for_it(analyzers: Analyzers) -> None:
    ran = []

    async def look() -> str:
        """Look."""
        ran.append(1)
        return "Found."

    brains = ([503], [tool_answer("look", "{}"), text_answer("I found it.")])
    async with several(analyzers, *brains, tools=[look]) as (talk, (_, second)):
        await talk.conversation.answer("Look.")
        await said(talk, "I found it.")
        assert (ran, len(second.requests)) == ([1], 2)
        assert asked(second)[1][-1]["content"] == '"Found."'


async def test_one_that_cannot_be_made_is_left(analyzers: Analyzers) -> None:
    def broken() -> Any:
        raise RuntimeError("no such thing")

    async with several(analyzers, [503], [503], [text_answer("Here I am.")]) as (talk, _):
        lineup = talk.conversation._llm._lineup
        first, second, third = lineup.candidates
        lineup.candidates = (first, Candidate(second.name, second.key, broken), third)
        await talk.conversation.answer("Are you there?")
        await said(talk, "Here I am.")


async def test_an_interruption_ends_the_request_and_the_next_question_is_answered(analyzers: Analyzers) -> None:
    async with several(analyzers, ["hang", text_answer("Yes.")], ["hang"]) as (talk, (first, second)):
        await talk.conversation.answer("Are you there?")
        await until(lambda: first.requests, "the first is asked", seconds=5)
        await talk.conversation.answer("Hello?")
        await said(talk, "Yes.")
        assert (second.requests, talk.notes.log) == ([], [])
