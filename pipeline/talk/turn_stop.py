"""Ends the caller's turns, at a pause that Smart Turn and the words agree on or for want of words; build.py uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_stop import BaseUserTurnStopStrategy

from pipeline.frames import NoWordsFrame
from pipeline.talk.turn_end import ASKS, seconds_of_pause
from runtime.background import Background

Clock = Callable[[], float]

WORDLESS_SECONDS = 0.5  # of silence after a sound without words; a cough is often followed by a sentence
LATE_SECONDS = 0.5  # after the time in which speech-to-text nearly always answers; later words begin a turn themselves


class TurnModel(Protocol):
    """What tells how likely it is that the turn is finished: Smart Turn, in build.py."""

    def append_audio(self, buffer: bytes, is_speech: bool) -> object:
        """Hear a stretch of 16-bit mono sound."""

    def set_sample_rate(self, sample_rate: int) -> None:
        """The rate of the sound, samples a second."""

    def update_vad_start_secs(self, vad_start_secs: float) -> None:
        """How long a voice sounds before it counts, seconds."""

    def clear(self) -> None:
        """Forget the turn."""

    async def cleanup(self) -> None:
        """Let go of threads."""

    async def probability(self) -> float:
        """That the turn is finished, by what was heard until now, 0 to 1."""


class PauseStop(BaseUserTurnStopStrategy):  # type: ignore[no-untyped-call]
    """What both strategies know of a pause: when it began, and whether all words before it are there.

    Args:
        now: A monotonic clock, seconds.
    """

    def __init__(self, now: Clock) -> None:
        super().__init__()
        self._now = now
        self._tasks = Background("end of turn")
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._speaking, self._paused = False, False
        self._words, self._interim = "", ""
        self._settled = False
        self._stt_seconds = self._stop_seconds = 0.0

    async def handle_user_turn_started(self) -> None:
        """A turn begins: nothing is known of it."""
        self._forget()

    async def handle_user_turn_stopped(self) -> None:
        """The turn is over, whoever ended it."""
        self._forget()

    async def cleanup(self) -> None:
        """The call is over."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        self._leave()
        self._tasks.cancel()

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow voice and words."""
        if isinstance(frame, STTMetadataFrame):
            self._stt_seconds = frame.ttfs_p99_latency
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._speaking, self._paused, self._settled = True, False, False
            self._leave()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._speaking, self._stop_seconds = False, frame.stop_secs
            self._pause()
        elif isinstance(frame, InterimTranscriptionFrame):
            self._interim, self._settled = frame.text, False
            self._news.set()
        elif isinstance(frame, TranscriptionFrame):
            self._words, self._interim = f"{self._words} {frame.text}".strip(), ""
            self._settled = self._settled or frame.finalized
            self._news.set()
            if not self._speaking and not self._paused:  # words that came after their turn, and have begun another
                self._settled = True
                self._pause()
        elif isinstance(frame, NoWordsFrame) and not self._speaking:
            self._interim, self._settled = "", True
            self._news.set()
        return ProcessFrameResult.CONTINUE

    async def decide(self) -> None:
        """Wait for the moment at which the turn is over; called at each pause, cancelled when the caller goes on."""
        raise NotImplementedError

    def _pause(self) -> None:
        self._leave()
        self._paused = True
        self._task = self._tasks.start(self._end(), "end of turn")

    async def _end(self) -> None:
        await self.decide()
        self._task = None  # what follows ends the turn, and must not cancel itself
        await self.trigger_user_turn_stopped()

    def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = None

    def _forget(self) -> None:
        self._leave()
        self._words = self._interim = ""
        self._paused = self._settled = False

    async def _until(self, at: float | None) -> None:
        """Wait for news, until `at` at the latest (seconds of the clock; None: as long as it takes)."""
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if at is None else max(0.0, at - self._now())):
                await self._news.wait()


class SmartTurnStop(PauseStop):  # type: ignore[no-untyped-call]
    """Ends a turn at a pause, as the model and the words so far say. The model is asked again while the pause lasts.

    Args:
        model: Tells whether a turn is finished.
        timeout: Seconds of a pause that end any turn.
        now: A monotonic clock, seconds.
    """

    def __init__(self, model: TurnModel, timeout: float, now: Clock) -> None:
        super().__init__(now)
        self._model, self._timeout = model, timeout

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]  # as Pipecat's own strategies
        """Learn how the sound comes."""
        await super().setup(setup)
        self._model.set_sample_rate(setup.audio_in_sample_rate)

    async def cleanup(self) -> None:
        """The call is over."""
        await super().cleanup()
        await self._model.cleanup()

    async def handle_user_turn_stopped(self) -> None:
        """The turn is over: the model forgets it too."""
        await super().handle_user_turn_stopped()
        self._model.clear()

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Let the model hear everything."""
        if isinstance(frame, InputAudioRawFrame):
            self._model.append_audio(frame.audio, self._speaking)
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._model.update_vad_start_secs(frame.start_secs)
        return await super().process_frame(frame)

    async def decide(self) -> None:
        """Wait until the pause is long enough for what is known, and the words are there."""
        began, asks, probability = self._now(), list(ASKS), 0.0
        last_words = began + max(0.0, self._stt_seconds - self._stop_seconds)
        while True:
            now = self._now()
            end = began + seconds_of_pause(probability, f"{self._words} {self._interim}".strip(), self._timeout)
            if now >= end:
                if self._words and (self._settled or now >= last_words):
                    return
                await self._until(last_words if self._words else None)
            elif asks and now >= began + asks[0]:
                asks.pop(0)
                probability = await self._model.probability()
            else:
                await self._until(min(end, began + asks[0]) if asks else end)


class WordlessStop(PauseStop):  # type: ignore[no-untyped-call]
    """Ends a turn in which there was a sound, and are no words."""

    async def decide(self) -> None:
        """Wait until speech-to-text has found no words, or has had its time."""
        began = self._now()
        last_words = began + max(0.0, self._stt_seconds - self._stop_seconds) + LATE_SECONDS
        while True:
            end = began + max(0.0, WORDLESS_SECONDS - self._stop_seconds) if self._settled else last_words
            if self._words or self._interim:
                await self._until(None)
            elif self._now() >= end:
                return
            else:
                await self._until(end)
