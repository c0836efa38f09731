"""Plays the agent's sound into a sink, falls silent while the caller makes a sound, and goes on after it; audio_ends.py
plays through it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from pipeline.talk.tape import Tape
from runtime.background import Background

CHUNK_SECONDS = 0.04
PATIENCE = 3  # sounds without words in a row that silence the agent; after that only words do, or noise would mute it


class Sink(Protocol):
    """Where the agent's sound goes: 16-bit mono PCM at OUT_RATE."""

    async def write(self, pcm: bytes) -> None:
        """Take this sound; waits while the queue is full."""

    def queued(self) -> float:
        """Seconds taken but not played yet."""

    def clear(self) -> None:
        """Forget what has not been played: silence, now."""

    async def drain(self) -> None:
        """Wait until all that was taken has been played."""


class Player:
    """A sink that can be held. While it is held nothing is heard and nothing is lost.

    Args:
        sink: Where the sound goes.
        rate: Its samples a second.
        moved: Told of the seconds that were handed to the sink; a negative number was taken back, or is heard again.
    """

    def __init__(self, sink: Sink, rate: int, moved: Callable[[float], None]) -> None:
        self._sink, self._rate, self._moved = sink, rate, moved
        self._tape = Tape(rate)
        self._tasks = Background("the agent's sound")
        self._free = asyncio.Event()
        self._free.set()
        self._held = False
        self._changes = self._drops = 0
        self._wordless = 0

    async def write(self, pcm: bytes) -> bool:
        """Play this after what is played already; waits while held. False: an interruption came first."""
        if not await self.ready():
            return False
        await self._play(pcm)
        return True

    async def ready(self) -> bool:
        """Wait until sound may be heard. False: an interruption came first."""
        drops = self._drops
        await self._free.wait()
        return drops == self._drops

    async def drain(self) -> None:
        """Wait until all has been played, what a hold took back too, or an interruption has come."""
        drops = self._drops
        while await self.ready() and drops == self._drops:
            changes = self._changes
            await self._sink.drain()
            if changes == self._changes:
                return

    def queued(self) -> float:
        """Seconds that the sink has taken and not played."""
        return self._sink.queued()

    def hold(self) -> None:
        """The caller makes a sound: silence, now. Sounds without words lose this power when they go on and on."""
        if self._held or (self._tape and self._wordless >= PATIENCE):
            return
        self._held = True
        self._free.clear()
        self._changes += 1
        self._take_back()

    def go_on(self) -> None:
        """The caller is silent: say again the last few words, and the rest."""
        if not self._held:
            return
        self._held = False
        if not self._tape:
            self._free.set()
            return
        self._wordless += 1
        self._moved(-self._tape.rewind())
        self._tasks.start(self._replay(self._changes), "go on with a sentence")

    def drop(self) -> None:
        """An interruption: silence, now, and nothing of this any more."""
        self._held = False
        self._changes += 1
        self._drops += 1
        self._wordless = 0
        self._take_back()
        self._tape.clear()
        self._free.set()

    def over(self) -> None:
        """A sentence has been heard to its end."""
        self._tape.clear()

    def close(self) -> None:
        """The call is over."""
        self._tasks.cancel()

    async def _replay(self, changes: int) -> None:
        while changes == self._changes:
            pcm = self._tape.next(CHUNK_SECONDS)
            if not pcm:
                self._free.set()
                return
            await self._play(pcm)

    async def _play(self, pcm: bytes) -> None:
        drops = self._drops
        await self._sink.write(pcm)
        if drops != self._drops:
            return
        self._tape.played(pcm)
        self._moved(len(pcm) / (2 * self._rate))
        if self._held:  # since the sink was full
            self._take_back()

    def _take_back(self) -> None:
        unplayed = self._sink.queued()
        self._sink.clear()
        self._tape.take_back(unplayed)
        self._moved(-unplayed)
