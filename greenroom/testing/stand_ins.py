"""Ears, voice and speaker of a conversation in text: no sound is made, and none is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from pipeline.talk.audio_ends import CHUNK_10MS, IN_RATE, OUT_RATE
from pipeline.talk.build import Analyzers

SENTENCE_SECONDS = CHUNK_10MS / 100  # one write: a sentence without any sound would not count as spoken
SILENCE = bytes(round(OUT_RATE * SENTENCE_SECONDS) * 2)


class NoEars(FrameProcessor):
    """In the place of speech-to-text: callers write."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class _NeverVoice(VADAnalyzer):
    def num_frames_required(self) -> int:
        return IN_RATE // 50

    def voice_confidence(self, buffer: bytes) -> float:
        return 0.0


def no_analyzers() -> Analyzers:
    """Listening models for a conversation in which nobody speaks."""
    return Analyzers(_NeverVoice(sample_rate=IN_RATE, params=VADParams()), None)


class SilentVoice(TTSService):
    """In the place of text-to-speech: every sentence takes its way through the pipeline, with a moment of silence.

    Args:
        voiced: Called for each piece of text that it is given.
    """

    def __init__(self, voiced: Callable[[], None]) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model="silent", voice=None, language="en"),
        )
        self._voiced = voiced

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Say nothing, for a moment.

        Args:
            text: What would be said.
            context_id: Pipecat's name for this turn's audio.
        """
        self._voiced()
        yield TTSAudioRawFrame(SILENCE, self.sample_rate, 1, context_id=context_id)


class NoSpeaker:
    """A sink that plays at once whatever it is given, but for a sentence that the caller is to cut off.

    Attributes:
        speaking: Set while it holds one, of which it has played the first half.
    """

    def __init__(self) -> None:
        self.speaking, self._silenced = asyncio.Event(), asyncio.Event()
        self._holds = False

    def hold(self) -> None:
        """From now on play only the first half of a sentence."""
        self._holds = True
        self._silenced.clear()

    def hold_no_more(self) -> None:
        """From now on play every sentence; one that is held is still held until it is cut off."""
        self._holds = False

    async def write(self, pcm: bytes) -> None:
        """Take this sound."""

    def queued(self) -> float:
        """Seconds of the sentence that is held."""
        return SENTENCE_SECONDS / 2 if self.speaking.is_set() else 0.0

    def clear(self) -> None:
        """Forget the sentence that is held."""
        if self.speaking.is_set():
            self.speaking.clear()
            self._silenced.set()

    async def drain(self) -> None:
        """Wait until all has been played, or forgotten."""
        if self._holds:
            self.speaking.set()
            await self._silenced.wait()
