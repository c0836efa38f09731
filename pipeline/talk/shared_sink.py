"""Plays sentences that were made beforehand, beside what the pipeline plays; conversation.py and call.py use it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from pipeline.talk.audio_ends import OUT_RATE
from pipeline.talk.player import Sink

CHUNK = OUT_RATE * 2 // 25  # bytes of 40 ms


class SharedSink:
    """A `Sink` that plays what the pipeline makes, and between two of its chunks a whole sentence of our own.

    Args:
        sink: where the sound goes.
        heard: told of each chunk of the pipeline's sound: seconds until it will have been played.
    """

    def __init__(self, sink: Sink, heard: Callable[[float], None]) -> None:
        self._sink, self._heard = sink, heard
        self._turn = asyncio.Lock()
        self._cut = 0
        self._ours_until = 0.0

    async def write(self, pcm: bytes) -> None:
        """Take this sound; waits while the queue is full, or a sentence of ours is played."""
        async with self._turn:
            await self._sink.write(pcm)
        self._heard(self._sink.queued())

    def queued(self) -> float:
        """Seconds of the pipeline's sound that were taken but not played yet."""
        return max(0.0, self._sink.queued() - max(0.0, self._ours_until - time.monotonic()))

    def clear(self) -> None:
        """Silence, now; a sentence of ours ends, too."""
        self._cut += 1
        self._ours_until = 0.0
        self._sink.clear()

    async def drain(self) -> None:
        """Wait until all that was taken has been played."""
        await self._sink.drain()

    async def interject(self, pcm: bytes) -> float:
        """Play a sentence of ours (16-bit mono PCM at OUT_RATE); the pipeline's next sound waits for its end.

        Returns:
            Seconds until it will have been played; 0 if an interruption cut it off.
        """
        cut = self._cut
        async with self._turn:
            for chunk in _chunks(pcm):
                if self._cut != cut:
                    return 0.0
                await self._sink.write(chunk)
                self._ours_until = time.monotonic() + self._sink.queued()
        return self._sink.queued()


async def play(sink: Sink, pcm: bytes) -> None:
    """Play a sentence (16-bit mono PCM at OUT_RATE); returns when it has been heard."""
    for chunk in _chunks(pcm):
        await sink.write(chunk)
    await sink.drain()


def _chunks(pcm: bytes) -> Iterator[bytes]:
    for start in range(0, len(pcm), CHUNK):
        yield pcm[start : start + CHUNK]
