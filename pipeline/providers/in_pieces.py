"""Speech-to-text that hears a caller who doesn't pause while the caller still speaks; local/stt.py, groq and openai.

Pipecat's segmented services hear a stretch of speech when it has ended: from a caller who reads something out for a
minute there are no words until then, and all the sound is kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import numpy as np
from pipecat.audio.utils import pcm_to_wav
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.stt_service import SegmentedSTTService

from pipeline.frames import NoWordsFrame
from pipeline.local.pieces import EARLIEST_SECONDS, seam

LOOK_SECONDS = 0.5  # of new sound between two looks for a place to cut; a look takes less than a millisecond


class InPieces(SegmentedSTTService):
    """Mixed in before a segmented service: long speech is transcribed piece by piece, each second of it once."""

    _looked = 0  # bytes that held no place to cut
    _last = 0  # bytes of the piece that was handed over last
    _ending = 0  # 1 once Pipecat's mark of the end waits behind the sound
    _answers = 0  # words and errors that came of the sound so far

    @property
    def waiting(self) -> float:
        """Seconds of the caller's sound, up to its last pause or to now, that are not being transcribed yet."""
        size = len(self._audio_buffer) if self._user_speaking else self._last if self._more_waits else 0
        return size / (2 * self.sample_rate)

    @property
    def _more_waits(self) -> bool:
        return self._segment_queue.qsize() > self._ending

    async def process_audio_frame(self, frame: InputAudioRawFrame, direction: FrameDirection) -> None:
        """Keep the sound; hand a piece of it over as soon as there is a whole one."""
        await super().process_audio_frame(frame, direction)
        size = len(self._audio_buffer)
        if size < self._looked:
            self._looked = 0  # that speech is over
        if not self._user_speaking or not self.is_usable:
            return
        second = 2 * self.sample_rate  # bytes
        if size < EARLIEST_SECONDS * second or size - self._looked < LOOK_SECONDS * second:
            return
        self._looked = size
        sound = np.frombuffer(bytes(self._audio_buffer), "<i2").astype(np.float32)
        cut = seam(sound, self.sample_rate)
        if cut is not None:
            await self._hand_over(2 * cut)

    async def stop(self, frame: EndFrame) -> None:
        """Transcribe what waits, then stop."""
        self._ending = 1
        await super().stop(frame)

    async def process_generator(self, generator: AsyncGenerator[Frame | None, None]) -> None:
        """Transcribe a piece; say so when it was the last one for now, and holds no words."""
        answers = self._answers
        await super().process_generator(generator)
        if self._answers == answers and not self._more():
            await self.push_frame(NoWordsFrame())

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Pass a frame on; words are final for the turn only when no later sound of the caller waits to be heard."""
        self._answers += isinstance(frame, TranscriptionFrame | ErrorFrame)
        if isinstance(frame, TranscriptionFrame) and self._more():
            await super(SegmentedSTTService, self).push_frame(frame, direction)
        else:
            await super().push_frame(frame, direction)

    def _more(self) -> bool:
        return self._user_speaking or self._more_waits

    async def _handle_user_stopped_speaking(self, frame: VADUserStoppedSpeakingFrame) -> None:
        self._last = len(self._audio_buffer)
        await super()._handle_user_stopped_speaking(frame)

    async def _hand_over(self, size: int) -> None:
        pcm = bytes(self._audio_buffer[:size]) + self._trailing_silence()
        del self._audio_buffer[:size]
        self._looked = 0
        self._record_stt_audio_usage(pcm)
        await self.emit_stt_usage_metrics()  # type: ignore[no-untyped-call]
        await self._segment_queue.put(pcm_to_wav(pcm, self.sample_rate) if self.wants_wav_segments else pcm)
