"""A call whose hosted speech fails in the middle of it goes on with the bundled one, with real speech."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import soxr
from pydantic import SecretStr

from pipeline.local import stt as moonshine
from pipeline.local.tts import synthesise
from pipeline.settings import PipelineSettings
from pipeline.talk.audio_ends import IN_RATE
from pipeline.talk.build import Analyzers
from tests.pipeline.fallback.speech_server import SECONDS_A_WORD, SpeechServer
from tests.pipeline.stage import until
from tests.pipeline.talks import GREETING, Talk, talking, warm

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

CHUNK = IN_RATE // 50  # samples of 20 ms, as a room delivers them
QUESTION = "What is two plus three?"


@pytest.fixture  # a conversation uses them up
def analyzers() -> Analyzers:
    moonshine.preload()
    return warm()


@asynccontextmanager
async def call(
    analyzers: Analyzers, monkeypatch: pytest.MonkeyPatch, server: SpeechServer, **choice: Any
) -> AsyncIterator[Talk]:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    settings = PipelineSettings(_env_file=None, turn="silence", openai_api_key=SecretStr("key"), **choice)
    async with talking(analyzers, settings) as talk:
        yield talk
        server.released.set()


async def ask(talk: Talk) -> None:
    """Say the question, in real time, with silence around it."""
    voice, rate = synthesise(QUESTION)
    samples = np.asarray(soxr.resample(voice, rate, IN_RATE), dtype="<i2")
    pcm = np.concatenate([np.zeros(IN_RATE // 2, "<i2"), samples, np.zeros(4 * IN_RATE, "<i2")])
    begin = time.monotonic()
    for at in range(0, pcm.size, CHUNK):
        await asyncio.sleep(max(0.0, begin + (at + CHUNK) / IN_RATE - time.monotonic()))
        await talk.conversation.microphone.hear(pcm[at : at + CHUNK].tobytes())


@pytest.mark.parametrize("fails", [429, "hang", "break"])
async def test_a_voice_that_fails_in_mid_call_is_replaced_by_the_bundled_one(
    analyzers: Analyzers, monkeypatch: pytest.MonkeyPatch, fails: str | int
) -> None:
    async with (
        SpeechServer("speak", fails).serving() as server,
        call(analyzers, monkeypatch, server, tts="openai, local") as talk,
    ):
        await talk.conversation.greet()
        await until(lambda: talk.notes.agent, "the greeting")
        assert talk.sink.seconds == pytest.approx(2 * SECONDS_A_WORD)
        await talk.conversation.answer(QUESTION)
        await until(lambda: len(talk.notes.agent) > 1, "the answer", seconds=10)
        assert "five" in talk.said.casefold() or "5" in talk.said
        assert len(set(talk.notes.sentences)) == len(talk.notes.sentences)
        assert talk.notes.failures == []
        assert [(event, facts["provider"]) for event, facts in talk.notes.log] == [("tts_failed", "openai")]
        assert GREETING in talk.said


@pytest.mark.parametrize("fails", [401, 503, "hang"])
async def test_ears_that_fail_in_mid_call_are_replaced_by_the_bundled_ones_and_the_caller_is_answered(
    analyzers: Analyzers, monkeypatch: pytest.MonkeyPatch, fails: str | int
) -> None:
    async with (
        SpeechServer(fails).serving() as server,
        call(analyzers, monkeypatch, server, stt="openai, local") as talk,
    ):
        await ask(talk)
        await until(lambda: talk.said, "the answer", seconds=10)
        assert [words.casefold().count("two") for words in talk.notes.user] == [1]
        assert "five" in talk.said.casefold() or "5" in talk.said
        assert len(server.audio) == 1
        assert talk.notes.failures == []
        assert [(event, facts["provider"]) for event, facts in talk.notes.log] == [("stt_failed", "openai")]


@pytest.mark.parametrize(("fails", "permanent"), [(401, True), (503, False)])
async def test_a_call_ends_when_its_only_voice_fails_for_as_long_as_the_caller_waits(
    analyzers: Analyzers, monkeypatch: pytest.MonkeyPatch, fails: int, permanent: bool
) -> None:
    async with (
        SpeechServer(fails).serving() as server,
        call(analyzers, monkeypatch, server, tts="openai", answer_seconds=1.0) as talk,
    ):
        await talk.conversation.greet()
        await until(lambda: talk.notes.failures, "the failure")
        assert talk.notes.failures == [("openai", permanent)]
        assert talk.said == ""
