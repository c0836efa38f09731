"""A caller's microphone: speech from files, paced as a real one, with silence between; caller.py publishes it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from livekit import rtc

from client.wav import Samples, Sound
from client.waveform import voiced
from runtime.background import Background

RATE = 16000
"""Samples a second that are sent: what speech recognition listens to; Opus carries it as wideband."""
FRAME = RATE // 50  # samples in the 20 ms that Opus sends at a time
QUEUE_MS = 100
"""Sound that waits in the source at most: as long as this program may be busy without a hole in the speech."""


@dataclass(frozen=True)
class SpeechClip:
    """When something was spoken, `time.monotonic()` in seconds, as it left the microphone (± 20 ms).

    Attributes:
        began: First audible sound.
        ended: End of the last audible sound.
    """

    began: float
    ended: float


@dataclass
class _Job:
    """Something that waits to be spoken or is being spoken."""

    samples: Samples
    voice: tuple[float, float]
    done: asyncio.Future[SpeechClip]
    began: float | None = None
    sent: int = 0


class Microphone:
    """A source of sound that never stops, as a browser's: what `speak` was given, and silence, which LiveKit's source
    sends by itself when it is given nothing.
    """

    def __init__(self) -> None:
        """Make the source; it must be made within a running event loop."""
        self.source = rtc.AudioSource(RATE, 1, queue_size_ms=QUEUE_MS)
        self._jobs: deque[_Job] = deque()
        self._asked = asyncio.Event()
        self._tasks = Background("microphone")

    def open(self) -> None:
        """Begin to send."""
        self._tasks.start(self._run(), "send")

    async def speak(self, sound: Sound) -> SpeechClip:
        """Send `sound` in real time, after what is being said already; returns when its last sample has left."""
        job = _Job(sound.at(RATE).samples, voiced(sound), asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._asked.set()
        return await job.done

    def hush(self) -> None:
        """Stop speaking at once; what waited is dropped and its `speak` is cancelled."""
        for job in self._jobs:
            job.done.cancel()
        self._jobs.clear()

    async def close(self) -> None:
        """Stop sending. The source is fed no more before it is closed: closing under a frame can abort the process."""
        self.hush()
        await self._tasks.close()
        await self.source.aclose()

    async def _run(self) -> None:
        """Send frame after frame of what is to be said; the source takes them at the pace at which they sound."""
        while True:
            if not self._jobs:
                self._asked.clear()
                await self._asked.wait()
                continue
            job = self._jobs[0]
            await self.source.capture_frame(rtc.AudioFrame(self._next(job).tobytes(), RATE, 1, FRAME))
            if job.sent >= len(job.samples):
                self._finish(job)

    def _next(self, job: _Job) -> Samples:
        """The next frame of `job`."""
        if job.began is None:
            job.began = time.monotonic() + self.source.queued_duration
        piece = job.samples[job.sent : job.sent + FRAME]
        job.sent += FRAME
        return np.pad(piece, (0, FRAME - len(piece))) if len(piece) < FRAME else piece

    def _finish(self, job: _Job) -> None:
        """Tell who waits for `job` when it will have left the source."""
        if self._jobs and self._jobs[0] is job:
            self._jobs.popleft()
        left = self.source.queued_duration
        # Counted back from its end: a hole in the sending, if there was one, then lies before the end that is measured.
        end = time.monotonic() + left - job.sent / RATE + job.voice[1]
        began = (job.began or end) + job.voice[0]

        def tell() -> None:
            if not job.done.done():
                job.done.set_result(SpeechClip(began, end))

        asyncio.get_running_loop().call_later(left, tell)
