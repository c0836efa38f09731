"""Ears, voice and speaker of a conversation in text: no sound is made, and none is waited for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from pipeline.talk.audio_ends import IN_RATE
from pipeline.talk.build import Analyzers

SILENCE = bytes(480)  # 10 ms: a sentence without any sound would not count as spoken


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
        """Say nothing, for 10 ms.

        Args:
            text: What would be said.
            context_id: Pipecat's name for this turn's audio.
        """
        self._voiced()
        yield TTSAudioRawFrame(SILENCE, self.sample_rate, 1, context_id=context_id)


class NoSpeaker:
    """A sink that plays at once whatever it is given."""

    async def write(self, pcm: bytes) -> None:
        """Take this sound."""

    def queued(self) -> float:
        """Nothing waits."""
        return 0.0

    def clear(self) -> None:
        """Nothing is to be forgotten."""

    async def drain(self) -> None:
        """All has been played."""
