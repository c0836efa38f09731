"""Records the agents of a room: what they said, as sound, and when; caller.py makes it."""

from __future__ import annotations

import time

import numpy as np
from livekit import rtc

from client import waveform
from client.wav import Sound
from client.waveform import Take
from runtime.background import Background

RATE = 24000
"""Samples a second of what is heard: what most voices are made with."""


class RoomRecording:
    """Listens to tracks and keeps all of their sound, and when it came."""

    def __init__(self) -> None:
        self.takes: list[Take] = []
        self.last_sound: float | None = None
        """Arrival of the newest audible frame, `time.monotonic()`."""
        self._tasks = Background("recording")

    def listen(self, track: rtc.Track) -> None:
        """Hear `track` until it ends."""
        self._tasks.start(self._run(track), "listen")

    async def _run(self, track: rtc.Track) -> None:
        take = Take(RATE)
        self.takes.append(take)
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=10)
        try:
            async for event in stream:
                now = time.monotonic()
                if take.add(np.frombuffer(event.frame.data, dtype=np.int16).copy(), now):
                    self.last_sound = now
        finally:
            await stream.aclose()

    def first_sound(self, after: float) -> float | None:
        """When the first sound from `after` on was heard."""
        return waveform.first_sound(*waveform.timeline(self.takes), after)

    def silence_onset(self, after: float, *, quiet: float) -> float | None:
        """When what sounded at `after` fell silent for at least `quiet` seconds (see waveform.silence_onset)."""
        return waveform.silence_onset(*waveform.timeline(self.takes), after, quiet=quiet)

    def gaps(self, begin: float, end: float, *, longer: float) -> list[tuple[float, float]]:
        """Silences of at least `longer` seconds within the speech between `begin` and `end`."""
        return waveform.gaps(*waveform.timeline(self.takes), begin, end, longer=longer)

    def recording(self, since: float) -> Sound:
        """Everything heard from `since` on, with its silences."""
        return waveform.mixed(self.takes, since)

    async def close(self) -> None:
        """Stop listening."""
        await self._tasks.close()
