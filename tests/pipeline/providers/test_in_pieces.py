"""A caller who speaks for more than a minute without a pause: words while they are spoken, and little memory."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncGenerator

import numpy as np
import pytest
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    MetricsFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService

from pipeline.frames import NoWordsFrame
from pipeline.providers import Provider, make_stt
from pipeline.providers.in_pieces import InPieces
from pipeline.settings import PipelineSettings
from tests.pipeline.stage import running, until

RATE, SECONDS = 16_000, 75
SILENCE = 0.5  # seconds that Pipecat puts behind each piece


class Segments(SegmentedSTTService):
    """Counts what it is given; hears one word in each; can be held up."""

    def __init__(self) -> None:
        super().__init__(ttfs_p99_latency=1.0, settings=STTSettings(model="m", language="en"))
        self.heard: list[bytes] = []
        self.free = asyncio.Event()
        self.free.set()

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        await self.free.wait()
        with wave.open(io.BytesIO(audio)) as file:
            self.heard.append(file.readframes(file.getnframes())[: -int(2 * SILENCE * RATE)])
        yield TranscriptionFrame(f"word{len(self.heard)}", "", "")


class Ears(InPieces, Segments):
    """The same, piece by piece."""


def spoken() -> bytes:
    """Sound without a pause."""
    random = np.random.default_rng(0)
    return bytes((random.standard_normal(SECONDS * RATE) * 3000).clip(-32767, 32767).astype("<i2").tobytes())


def frames(pcm: bytes) -> list[Frame]:
    size = RATE // 25 * 2
    return [InputAudioRawFrame(pcm[at : at + size], RATE, 1) for at in range(0, len(pcm), size)]


@pytest.mark.anyio
async def test_words_come_while_a_caller_speaks_and_every_sample_is_heard_once() -> None:
    ears, pcm = Ears(), spoken()
    async with running(ears) as stage:
        await stage.send(VADUserStartedSpeakingFrame(), *frames(pcm))
        await until(lambda: len(ears.heard) >= SECONDS // 12, "words while the caller speaks", seconds=20)
        await until(lambda: len(stage.tail.of(InputAudioRawFrame)) == len(frames(pcm)), "all is taken", seconds=20)
        assert len(ears._audio_buffer) <= 12 * 2 * RATE
        assert not any(frame.finalized for frame in stage.tail.of(TranscriptionFrame))
        await stage.send(VADUserStoppedSpeakingFrame())
        await until(lambda: sum(map(len, ears.heard)) == len(pcm), "the rest is heard")
        await until(lambda: len(stage.tail.of(TranscriptionFrame)) == len(ears.heard), "all words come")
        assert b"".join(ears.heard) == pcm
        assert [frame.finalized for frame in stage.tail.of(TranscriptionFrame)][-2:] == [False, True]


@pytest.mark.anyio
async def test_words_are_not_final_while_the_caller_goes_on() -> None:
    ears, pcm = Ears(), spoken()[: 2 * RATE]
    async with running(ears) as stage:
        ears.free.clear()
        await stage.send(VADUserStartedSpeakingFrame(), *frames(pcm), VADUserStoppedSpeakingFrame())
        await stage.send(VADUserStartedSpeakingFrame(), *frames(pcm))
        await until(lambda: len(stage.tail.of(InputAudioRawFrame)) == 2 * len(frames(pcm)), "all is taken")
        ears.free.set()
        await until(lambda: stage.tail.of(TranscriptionFrame), "the first words")
        assert not stage.tail.of(TranscriptionFrame)[0].finalized
        await stage.send(VADUserStoppedSpeakingFrame())
        await until(lambda: len(stage.tail.of(TranscriptionFrame)) == 2, "the other words")
        assert stage.tail.of(TranscriptionFrame)[1].finalized


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["moonshine", "groq", "openai"])
async def test_every_service_that_hears_whole_stretches_hears_long_ones_in_pieces(name: str) -> None:
    settings = PipelineSettings(_env_file=None, groq_api_key="k", openai_api_key="k")
    assert isinstance(make_stt(Provider(name), settings, language="en"), InPieces)


class Deaf(Segments):
    """Hears no words in anything."""

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        async for _ in super().run_stt(audio):
            yield MetricsFrame(data=[])


class DeafEars(InPieces, Deaf):
    """The same, piece by piece."""


@pytest.mark.anyio
async def test_sound_without_words_is_told_once_it_is_over() -> None:
    ears, pcm = DeafEars(), spoken()
    async with running(ears) as stage:
        await stage.send(VADUserStartedSpeakingFrame(), *frames(pcm))
        await until(lambda: len(ears.heard) >= SECONDS // 12, "pieces are heard", seconds=20)
        assert stage.tail.of(NoWordsFrame) == []
        await stage.send(VADUserStoppedSpeakingFrame())
        await until(lambda: stage.tail.of(NoWordsFrame), "the end is told")
        assert len(stage.tail.of(NoWordsFrame)) == 1
