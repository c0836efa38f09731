"""A caller who is owed an answer hears something in time: the brain, its stream, the voice or a tool hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pipecat.frames.frames import Frame

from pipeline.agents.tools import repeatable
from pipeline.local.tts import HibariTTS
from pipeline.talk import answer_wait
from pipeline.talk.answer_deadline import MOMENT
from pipeline.talk.build import Analyzers
from tests.pipeline.providers.openai_server import chunk, text_answer, tools_answer
from tests.pipeline.stage import until
from tests.pipeline.talks import MOMENT_PCM, Talk, asking, talking, warm

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

PATIENCE = 2.0
LATE = [chunk({"content": ""}), {"pause": 1.4}, chunk({"content": ""}), {"pause": 1.4}, *text_answer("Here I am.")]
ORDER = "I am looking for your very long lost order of ten pizzas with ham and cheese"


@pytest.fixture(scope="module")
def analyzers() -> Analyzers:
    return warm()


def ours(talk: Talk) -> int:
    """How often our own sentence was played."""
    return b"".join(talk.sink.chunks).count(MOMENT_PCM)


async def heard_in_time(talk: Talk, patience: float = PATIENCE) -> None:
    began = time.monotonic()
    await talk.conversation.answer("Are you there?")
    await until(lambda: talk.sink.chunks, "something is heard", seconds=patience + 0.5)
    assert time.monotonic() - began <= patience + 0.25


async def test_a_stream_that_trickles_without_a_word_is_bridged_and_then_spoken(analyzers: Analyzers) -> None:
    async with asking(analyzers, LATE, patience=PATIENCE) as talk:
        await heard_in_time(talk)
        assert ours(talk) == 1
        await until(lambda: "Here I am." in talk.said, "the answer is told", seconds=20)
        assert (talk.notes.failures, len(talk.requests)) == ([], 1)
        assert talk.notes.agent[0] == (MOMENT, False)
        assert ("answer_late", {"said": "moment"}) in talk.notes.log
        assert "moment" not in str(talk.conversation.checkpoint().messages).lower()


async def test_between_two_sentences_nobody_waits_longer(analyzers: Analyzers) -> None:
    alive = [{"pause": 1.0}, chunk({"content": ""})]
    stuck = [*text_answer("First. ", "Then")[:-1], *alive, *alive, *alive, *text_answer(" this.")]
    async with asking(analyzers, stuck, patience=PATIENCE) as talk:
        await talk.conversation.answer("Are you there?")
        await until(lambda: "First." in talk.notes.sentences, "the first is heard", seconds=20)
        began = time.monotonic()
        await until(lambda: ours(talk), "our sentence is heard", seconds=PATIENCE + 0.5)
        assert time.monotonic() - began <= PATIENCE + 0.25
        await until(lambda: talk.said == "First. Then this.", "the whole is told, without ours", seconds=20)


async def test_a_voice_that_hangs_is_bridged(analyzers: Analyzers, monkeypatch: pytest.MonkeyPatch) -> None:
    async def mute(_: HibariTTS, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await asyncio.Event().wait()
        yield None

    monkeypatch.setattr(HibariTTS, "run_tts", mute)
    async with asking(analyzers, text_answer("Here I am."), patience=PATIENCE) as talk:
        await heard_in_time(talk)
        assert ours(talk) == 1
        assert talk.notes.failures == []


async def test_a_speaker_that_fails_once_ends_no_watch(analyzers: Analyzers, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(analyzers, LATE, patience=PATIENCE) as talk:
        really, failed = talk.sink.write, list[bytes]()

        async def write(pcm: bytes) -> None:
            if not failed:
                failed.append(pcm)
                raise OSError
            await really(pcm)

        monkeypatch.setattr(talk.sink, "write", write)
        await heard_in_time(talk, PATIENCE + 0.5)
        assert failed


async def test_when_the_answer_is_over_nothing_of_ours_follows(analyzers: Analyzers) -> None:
    async with asking(analyzers, text_answer("Here I am."), patience=1.0) as talk:
        await talk.conversation.answer("Are you there?")
        await until(lambda: "Here I am." in talk.said, "the answer is told", seconds=20)
        await asyncio.sleep(1.5)
        assert ours(talk) == 0


async def test_a_caller_who_left_hears_nothing(analyzers: Analyzers) -> None:
    async with asking(analyzers, "hang", patience=PATIENCE) as talk:
        await talk.conversation.answer("Are you there?")
        await talk.conversation.hush()
        heard = len(talk.sink.chunks)
        await asyncio.sleep(1.25 * PATIENCE)
        assert (len(talk.sink.chunks), talk.notes.failures) == (heard, [])


def slow_tool(over: asyncio.Event) -> Any:
    @repeatable
    async def look() -> str:
        """Look."""
        await over.wait()
        return "Found."

    return look


async def test_while_a_tool_runs_the_agent_says_that_it_is_at_it_and_asks_nothing(
    analyzers: Analyzers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_wait, "AT_WORK_SECONDS", 2.0)
    over = asyncio.Event()
    brain = (tools_answer("look"), text_answer("I found it."))
    agent = {"tools": [slow_tool(over)], "waiting": "Still looking."}
    async with asking(analyzers, *brain, patience=1.0, **agent) as talk:
        began = time.monotonic()
        await talk.conversation.answer("Look.")
        await until(lambda: talk.notes.sentences, "it says so", seconds=3)
        assert time.monotonic() - began < 1.5
        await until(lambda: talk.notes.sentences == ["Still looking."] * 2, "and again", seconds=5)
        assert time.monotonic() - began > 2.0
        assert len(talk.requests) == 1
        over.set()
        await until(lambda: "I found it." in talk.said, "the answer is told", seconds=20)
        assert (ours(talk), talk.notes.failures) == (0, [])
        assert "looking" not in str(talk.conversation.checkpoint().messages)


async def test_the_time_that_a_tool_took_counts(analyzers: Analyzers) -> None:
    over = asyncio.Event()
    async with asking(
        analyzers, tools_answer("look"), "hang", patience=PATIENCE, tools=[slow_tool(over)], waiting="Still looking."
    ) as talk:
        began = time.monotonic()
        await talk.conversation.answer("Look.")
        await asyncio.sleep(1.0)
        over.set()
        await until(lambda: talk.sink.chunks, "something is heard", seconds=PATIENCE + 0.5)
        assert time.monotonic() - began <= PATIENCE + 0.25


async def test_an_answer_that_comes_word_by_word_is_heard_in_parts(analyzers: Analyzers) -> None:
    words = [chunk({"content": f"{word} "}) for word in ORDER.split()]
    slow = [piece for word in words for piece in ({"pause": 0.4}, word)]
    async with asking(analyzers, [*slow, *text_answer(".")], patience=3.0) as talk:
        await talk.conversation.answer("Are you there?")
        heard, longest, chunks = time.monotonic(), 0.0, 0
        while not talk.notes.agent:
            await asyncio.sleep(0.01)
            if len(talk.sink.chunks) != chunks:
                longest = max(longest, time.monotonic() - heard)
                heard, chunks = time.monotonic(), len(talk.sink.chunks)
        assert (longest < 3.0, ours(talk)) == (True, 0)
        assert len(talk.notes.sentences) > 1
        assert talk.said.removesuffix(".").rstrip() == ORDER


async def test_an_agent_without_such_words_has_ours(analyzers: Analyzers) -> None:
    async with asking(
        analyzers, tools_answer("look"), patience=1.0, tools=[slow_tool(asyncio.Event())], waiting=""
    ) as talk:
        await talk.conversation.answer("Look.")
        await until(lambda: ours(talk), "ours is heard", seconds=3)


async def test_an_agent_that_is_asked_nothing_is_silent(analyzers: Analyzers) -> None:
    async with talking(analyzers) as talk:
        await talk.conversation.greet()
        await until(lambda: talk.notes.agent, "it greets", seconds=20)
        assert talk.notes.log == []
