"""Hears a recording as a call does: Silero marks the voice, the bundled speech-to-text hears what it marked."""

from __future__ import annotations

import asyncio

import numpy as np
from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bench.words.recordings import RATE, Samples
from pipeline.local.stt import MoonshineSTT
from pipeline.settings import PipelineSettings
from pipeline.talk.build import make_analyzers

CHUNK = RATE // 50 * 2  # bytes of 20 ms
SILENCE_SECONDS = 1.0  # after the recording, so that its last pause is noticed


class Notes(FrameProcessor):
    """Stands behind the ears and writes down what they understand."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take the words, pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.words.append(frame.text)
        await self.push_frame(frame, direction)


async def understood(samples: Samples) -> str:
    """The words that a call would hear in a recording; samples at RATE."""
    vad = make_analyzers(PipelineSettings(_env_file=None, turn="silence")).vad
    notes = Notes()
    worker = PipelineWorker(
        Pipeline([VADProcessor(vad_analyzer=vad, audio_idle_timeout=0), MoonshineSTT(), notes]),
        params=PipelineParams(audio_in_sample_rate=RATE),
        idle_timeout_secs=None,
        enable_rtvi=False,
        enable_turn_tracking=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    sound = np.concatenate([samples, np.zeros(int(SILENCE_SECONDS * RATE), np.float32)])
    pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
    frames: list[Frame] = [InputAudioRawFrame(pcm[at : at + CHUNK], RATE, 1) for at in range(0, len(pcm), CHUNK)]
    await asyncio.gather(runner.run(), worker.queue_frames([*frames, EndFrame()]))
    return " ".join(notes.words)
