"""Ears that fail in mid-call, in every way in which hosted ears fail, over their real protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    STTMetadataFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineWorker
from pipecat.services.cartesia.stt import CartesiaSTTService, CartesiaSTTSettings
from pipecat.services.stt_service import STTService

from pipeline.fallback.candidates import Candidate
from pipeline.fallback.stt import FallbackSTT
from pipeline.frames import NoWordsFrame
from pipeline.providers.whisper import OpenAISTT
from pipeline.talk.audio_ends import IN_RATE
from tests.pipeline.fallback.speech_server import SpeechServer
from tests.pipeline.fallback.test_tts import Told
from tests.pipeline.stage import Notes, Stage, running, until

pytestmark = pytest.mark.anyio

CHUNK = 0.1  # seconds of a frame


def sound(mark: int, seconds: float) -> list[InputAudioRawFrame]:
    """Sound that can be told from other sound by its mark."""
    pcm = bytes([mark, 0]) * int(IN_RATE * CHUNK)
    return [InputAudioRawFrame(pcm, IN_RATE, 1) for _ in range(round(seconds / CHUNK))]


def marks(audio: bytes) -> dict[int, float]:
    """Seconds of each mark's sound, silence left out."""
    low = audio[::2]
    return {mark: low.count(mark) / IN_RATE for mark in sorted({*low} - {0})}


def over_http(name: str, server: SpeechServer, made: list[Any]) -> Candidate[STTService]:
    def make() -> STTService:
        service = OpenAISTT(api_key="key", base_url=server.url)
        cast(Any, service)._client = cast(Any, service)._client.with_options(max_retries=0)
        made.append(service)
        return service

    return Candidate(name, f"stt/{name}/1", make)


def over_socket(name: str, server: SpeechServer, made: list[Any]) -> Candidate[STTService]:
    def make() -> STTService:
        service = CartesiaSTTService(api_key="key", base_url=server.socket_url)
        made.append(service)
        return service

    return Candidate(name, f"stt/{name}/1", make)


KINDS = {"http": over_http, "socket": over_socket}


class Listening:
    """A stage with fallback ears, and what they understood."""

    def __init__(self, stage: Stage, stt: FallbackSTT, circuits: Told, made: list[Any]) -> None:
        self.stage, self.stt, self.circuits, self.made = stage, stt, circuits, made
        self.errors: list[ErrorFrame] = []

    @property
    def words(self) -> list[str]:
        return [frame.text for frame in self.stage.tail.of(TranscriptionFrame)]

    async def speak(self, mark: int, *, ends: bool = True) -> None:
        """Two seconds of speech; its beginning is noticed after 0.2 s."""
        before, after = sound(mark, 0.2), sound(mark, 1.8)
        await self.stage.send(*before, VADUserStartedSpeakingFrame(start_secs=0.2), *after)
        if ends:
            await self.stage.send(*sound(0, 0.2), VADUserStoppedSpeakingFrame(stop_secs=0.2))

    async def understood(self, *words: str) -> None:
        await until(lambda: len(self.words) >= len(words), f"the words {words}, not {self.words}")
        assert self.words == list(words)


@asynccontextmanager
async def ears(*choices: tuple[str, SpeechServer], patience: float = 4.0) -> AsyncIterator[Listening]:
    made: list[Any] = []
    candidates = [KINDS[kind](f"{kind}{at}", server, made) for at, (kind, server) in enumerate(choices)]
    circuits, notes = Told(), Notes()
    stt = FallbackSTT(
        candidates, circuits, patience=patience, owner="session_a", noticed=notes.noticed, words_seconds=0.5
    )
    async with running(stt) as stage:
        listening = Listening(stage, stt, circuits, made)

        async def failed(_: PipelineWorker, frame: ErrorFrame) -> None:
            listening.errors.append(frame)

        stage.worker.add_event_handler("on_pipeline_error", failed)
        yield listening
        for _, server in choices:
            server.released.set()


@pytest.mark.parametrize("kind", ["http", "socket"])
async def test_ears_that_work_hear_everything_once_and_sound_passes_by(kind: str) -> None:
    async with SpeechServer("hear", words=["one", "two"]).serving() as server, ears((kind, server)) as listening:
        await listening.speak(1)
        await listening.understood("one")
        await listening.speak(2)
        await listening.understood("one", "two")
        assert [marks(audio) for audio in server.audio] == [{1: 2.0}, {2: 2.0}]
        assert len(listening.stage.tail.of(InputAudioRawFrame)) == 2 * 22
        assert len(listening.stage.tail.of(VADUserStoppedSpeakingFrame)) == 2
        assert len(listening.stage.tail.of(STTMetadataFrame)) == 1
        assert listening.circuits.successes == [f"stt/{kind}0/1"] * 2
        assert listening.circuits.failures == listening.errors == []


@pytest.mark.faults
@pytest.mark.parametrize(
    ("kind", "fails"),
    [
        *[("http", fault) for fault in (401, 429, 500, "hang", "garbage")],
        *[("socket", fault) for fault in (403, "hang", "break")],
    ],
)
async def test_ears_that_fail_are_left_in_mid_call_and_the_next_ones_hear_what_was_said_since_the_last_words(
    kind: str, fails: str | int
) -> None:
    async with (
        SpeechServer(fails, words=["one"]).serving() as bad,
        SpeechServer("hear", words=["two", "three"]).serving() as good,
        ears((kind, bad), ("http", good)) as listening,
    ):
        before = [] if fails == 403 else ["one"]  # that one refuses the connection
        if before:
            bad.does = ["hear", fails]
            await listening.speak(1)
            await listening.understood(*before)
        await listening.speak(2)
        await listening.understood(*before, "two")
        await listening.speak(3)
        await listening.understood(*before, "two", "three")
        assert [marks(audio) for audio in good.audio] == [{2: 2.0}, {3: 2.0}]
        assert f"stt/{kind}0/1" in listening.circuits.failures
        assert listening.errors == []


async def test_what_the_caller_says_while_the_ears_change_is_heard_whole() -> None:
    async with (
        SpeechServer(500).serving() as bad,
        SpeechServer("hear", words=["two"]).serving() as good,
        ears(("socket", bad), ("socket", good)) as listening,
    ):
        await listening.speak(2, ends=False)
        await until(lambda: len(listening.made) == 2, "the next ears")
        await listening.stage.send(*sound(3, 1.0), VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await listening.understood("two")
        assert [marks(audio) for audio in good.audio] == [{2: 2.0, 3: 1.0}]


async def test_a_cough_is_no_fault_of_the_ears() -> None:
    async with (
        SpeechServer("hear", words=["", "two"]).serving() as first,
        SpeechServer("hear").serving() as second,
        ears(("socket", first), ("http", second)) as listening,
    ):
        await listening.speak(1)
        await until(lambda: listening.stage.tail.of(NoWordsFrame), "word of the cough")
        assert len(second.audio) == 1
        await listening.speak(2)
        await listening.understood("two")
        assert listening.circuits.failures == []


async def test_words_that_come_late_from_the_first_ears_are_not_heard_twice() -> None:
    async with (
        SpeechServer("late", words=["one"]).serving() as first,
        SpeechServer("late", words=["one"]).serving() as second,
        ears(("socket", first), ("socket", second)) as listening,
    ):
        await listening.speak(1)
        await until(lambda: second.audio, "a second opinion")
        first.released.set()
        second.released.set()
        await listening.understood("one")
        await listening.speak(2)
        await until(lambda: len(second.audio) == 2, "the next speech is heard")
        assert listening.words == ["one"]


async def test_ears_that_were_asked_beside_ears_that_then_fail_tell_how_long_they_take() -> None:
    async with (
        SpeechServer("hang").serving() as first,
        SpeechServer("late", words=["one"]).serving() as second,
        ears(("socket", first), ("socket", second)) as listening,
    ):
        await listening.speak(1)
        await until(lambda: second.audio, "a second opinion")
        assert len(listening.stage.tail.of(STTMetadataFrame)) == 1
        await listening.made[0].push_error("gone")
        await until(lambda: len(listening.stage.tail.of(STTMetadataFrame)) == 2, "what the second needs")
        second.released.set()
        await listening.understood("one")


@pytest.mark.parametrize("fails", [401, 503])
async def test_when_the_last_ears_have_failed_for_good_one_error_of_the_processor_says_so(fails: int) -> None:
    async with SpeechServer(fails).serving() as only, ears(("http", only), patience=0.8) as listening:
        await listening.speak(1)
        await until(lambda: listening.errors, "an error")
        await listening.speak(2)
        assert [(error.processor, error.fatal) for error in listening.errors] == [(listening.stt, False)]
        assert listening.stt.used_up


@pytest.mark.faults
async def test_a_blip_of_the_only_ears_loses_no_words() -> None:
    async with SpeechServer(503, 500, "hear", words=["one"]).serving() as only, ears(("http", only)) as listening:
        await listening.speak(1)
        await listening.understood("one")
        assert listening.errors == []


async def test_settings_reach_the_ears_in_use() -> None:
    async with SpeechServer("hear", words=["one"]).serving() as server, ears(("socket", server)) as listening:
        await listening.stage.send(STTUpdateSettingsFrame(delta=CartesiaSTTSettings(language="de")))
        await until(lambda: server.connections == 2, "a connection with the new language")
        await listening.speak(1)
        await listening.understood("one")
