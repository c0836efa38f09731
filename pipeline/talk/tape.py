"""Remembers the sound just played, to go on from where it was cut off, by pure bookkeeping; player.py keeps it."""

from __future__ import annotations

import numpy as np

REWIND_SECONDS = 1.5  # the longest way back from the cut: a few words, enough to be understood
LEAST_SECONDS = 0.25  # the shortest: a listener misses what is said while he makes a sound himself
QUIET_SECONDS = 0.06  # a gap between two words
KEPT_SECONDS = 4.0  # of played sound; more than a sink queues and a rewind takes

SAMPLE = 2  # bytes


class Tape:
    """16-bit mono sound of one sentence: what has been played, and what is to be played before anything else.

    Args:
        rate: Samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._behind, self._ahead = bytearray(), bytearray()
        self._whole = True

    def __bool__(self) -> bool:
        return bool(self._behind or self._ahead)

    def played(self, pcm: bytes) -> None:
        """This was handed to the speaker."""
        self._behind += pcm
        surplus = len(self._behind) - self._bytes(KEPT_SECONDS)
        if surplus > 0:
            del self._behind[:surplus]
            self._whole = False

    def take_back(self, seconds: float) -> None:
        """So many seconds were handed to the speaker and not played."""
        self._move(max(0, len(self._behind) - self._bytes(seconds)))

    def rewind(self) -> float:
        """Go back to where a listener can follow again: the sentence's beginning, or a gap between two words.

        Returns:
            Seconds that will be heard a second time.
        """
        point = self._point()
        again = len(self._behind) - point
        self._move(point)
        return again / (SAMPLE * self._rate)

    def next(self, seconds: float) -> bytes:
        """The next sound that is to be played before anything else; empty when there is none."""
        size = self._bytes(seconds)
        pcm = bytes(self._ahead[:size])
        del self._ahead[:size]
        return pcm

    def clear(self) -> None:
        """The sentence is over."""
        self._behind.clear()
        self._ahead.clear()
        self._whole = True

    def _bytes(self, seconds: float) -> int:
        return round(seconds * self._rate) * SAMPLE

    def _move(self, point: int) -> None:
        self._ahead[:0] = self._behind[point:]
        del self._behind[point:]

    def _point(self) -> int:
        end = len(self._behind)
        first = end - self._bytes(REWIND_SECONDS)
        if first <= 0 and self._whole:
            return 0
        window = self._bytes(QUIET_SECONDS)
        first, last = max(0, first), end - self._bytes(LEAST_SECONDS)
        samples = np.frombuffer(self._behind[first:last], dtype="<i2").astype(np.float64)
        frames = samples[: samples.size // (window // SAMPLE) * (window // SAMPLE)].reshape(-1, window // SAMPLE)
        if not frames.size:
            return max(0, last)
        quietest = int(np.argmin(np.mean(np.square(frames), axis=1)))
        return first + quietest * window
