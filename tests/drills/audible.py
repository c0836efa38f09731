"""Which of several agents a caller hears, and for how long more than one at a time; knows no fault."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from livekit import rtc

from client.caller import is_agent
from runtime.background import Background

RATE = 16_000  # Hz
FRAME_MS = 20
LOUD = 500  # of 32,767: speech is above it, comfort noise below


class Audible:
    """A caller's ears, one for each agent's track, in a room that is not joined yet."""

    def __init__(self, room: rtc.Room) -> None:
        self._loud: dict[str, set[int]] = {}
        self._ears: dict[str, asyncio.Task[None]] = {}
        self._tasks = Background("ears")
        room.on("track_subscribed", self._listen)
        room.on("track_unsubscribed", self._stop)

    @property
    def tracks(self) -> int:
        """How many tracks were ever heard a sound of."""
        return sum(bool(moments) for moments in self._loud.values())

    def together(self) -> float:
        """Seconds in which more than one track was loud."""
        moments = [moment for each in self._loud.values() for moment in each]
        return (len(moments) - len(set(moments))) * FRAME_MS / 1000

    async def close(self) -> None:
        """Hear nothing any more."""
        await self._tasks.close()

    def _listen(self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        if is_agent(who) and track.kind == rtc.TrackKind.KIND_AUDIO:
            self._ears[publication.sid] = self._tasks.start(self._hear(track, publication.sid), "ear")

    def _stop(self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        """The SDK may use it for the next track, too: what comes of it now is another agent's."""
        if (ear := self._ears.pop(publication.sid, None)) is not None:
            ear.cancel()

    async def _hear(self, track: rtc.Track, sid: str) -> None:
        loud = self._loud.setdefault(sid, set())
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=FRAME_MS)
        async for event in stream:
            if np.abs(np.frombuffer(bytes(event.frame.data), np.int16).astype(np.int32)).max() > LOUD:
                loud.add(round(time.monotonic() * 1000 / FRAME_MS))
