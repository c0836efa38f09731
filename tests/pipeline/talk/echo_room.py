"""A caller on a loudspeaker: the agent's sound, played in real time, comes back to the microphone, late and faint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np

from pipeline.talk.audio_ends import IN_RATE, OUT_RATE

QUEUE_SECONDS = 0.2  # as a call's track
STEP = 0.02  # seconds of the microphone's frames
NOISE = 3e-4


class EchoRoom:
    """A `Sink` that plays in real time, and a microphone beside its loudspeaker.

    Args:
        delay: Seconds from the sink to the microphone.
        level: Of the echo, dB.
    """

    def __init__(self, delay: float, level: float) -> None:
        self._delay, self._gain = delay, 10 ** (level / 20)
        self._played = np.zeros(0, np.float32)  # at OUT_RATE, from `_begin` on
        self._begin = time.monotonic()
        self._voice = np.zeros(0, np.float32)
        self._random = np.random.default_rng(0)
        self.seconds = 0.0

    async def write(self, pcm: bytes) -> None:
        await asyncio.sleep(max(0.0, self.queued() - QUEUE_SECONDS))
        gap = round((time.monotonic() - self._begin) * OUT_RATE) - self._played.size
        silence = np.zeros(max(0, gap), np.float32)
        self._played = np.concatenate([self._played, silence, np.frombuffer(pcm, "<i2").astype(np.float32) / 32768])
        self.seconds += len(pcm) / (2 * OUT_RATE)

    def queued(self) -> float:
        return max(0.0, self._begin + self._played.size / OUT_RATE - time.monotonic())

    def clear(self) -> None:
        self.seconds -= self.queued()
        self._played = self._played[: round((time.monotonic() - self._begin) * OUT_RATE)]

    async def drain(self) -> None:
        await asyncio.sleep(self.queued())

    def speak(self, samples: np.ndarray) -> None:
        """A human says this into the microphone, from now on; samples at IN_RATE."""
        self._voice = samples

    @asynccontextmanager
    async def open_to(self, hear: Callable[[bytes], Awaitable[None]]) -> AsyncIterator[None]:
        """The microphone is on."""
        listening = asyncio.create_task(self._listen(hear), name="microphone")
        try:
            yield
            assert not listening.done()
        finally:
            listening.cancel()

    async def _listen(self, hear: Callable[[bytes], Awaitable[None]]) -> None:
        begin = at = time.monotonic()
        while True:
            at += STEP
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            await hear((np.clip(self._step(at - self._begin), -1, 1) * 32767).astype("<i2").tobytes())
            assert at - begin < 120

    def _step(self, end: float) -> np.ndarray:
        size = round(STEP * IN_RATE)
        sound = self._random.standard_normal(size) * NOISE
        times = (end - self._delay - STEP) * OUT_RATE + np.arange(size) * OUT_RATE / IN_RATE
        if self._played.size:
            sound += self._gain * np.interp(times, np.arange(self._played.size), self._played, left=0, right=0)
        voice, self._voice = self._voice[:size], self._voice[size:]
        sound[: voice.size] += voice
        return sound
