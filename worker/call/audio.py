"""Sound between a LiveKit room and the pipeline: the agent's track out, the caller's track in; call.py makes both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from livekit import rtc

from runtime.background import Background

QUEUE_MS = 200  # sound LiveKit may hold: enough for a busy machine's hiccups, little to take back at an interruption
HEAR_MS = 32  # length of the frames handed to the pipeline: one window of Silero, 512 samples at 16 kHz

Hear = Callable[[bytes], Awaitable[None]]


async def at_once() -> None:
    """Return: nothing stands against being heard."""


class AgentTrack:
    """The agent's microphone track: a `Sink` for the pipeline.

    Args:
        rate: Hz of the 16-bit mono PCM that will be written.
        may_speak: returns when sound may be heard.
    """

    def __init__(self, rate: int, may_speak: Callable[[], Awaitable[None]] = at_once) -> None:
        self._rate, self._may_speak = rate, may_speak
        self._source = rtc.AudioSource(rate, 1, queue_size_ms=QUEUE_MS)
        self._closed = False
        self.track = rtc.LocalAudioTrack.create_audio_track("agent", self._source)

    async def publish(self, room: rtc.Room) -> rtc.LocalTrackPublication:
        """Publish the track; nobody hears of an agent before that for up to 3 s, as the server batches such news."""
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=True, red=False)
        return await room.local_participant.publish_track(self.track, options)

    async def write(self, pcm: bytes) -> None:
        """Play this; waits until it may be heard, and while QUEUE_MS are queued already."""
        await self._may_speak()
        if not self._closed:
            samples = len(pcm) // 2
            await self._source.capture_frame(rtc.AudioFrame(pcm, self._rate, 1, samples))

    def queued(self) -> float:
        """Seconds not played yet."""
        return self._source.queued_duration

    def clear(self) -> None:
        """Silence, now."""
        self._source.clear_queue()

    async def drain(self) -> None:
        """Wait until all has been played."""
        await self._source.wait_for_playout()

    def close(self) -> None:
        """Take no more sound. The source itself goes with the process: closing it under a capture aborts the SDK."""
        self._closed = True
        self._source.clear_queue()


class CallerTrack:
    """Reads one remote audio track at a time into the pipeline.

    Args:
        rate: Hz the pipeline wants.
        hear: takes 16-bit mono PCM.
    """

    def __init__(self, rate: int, hear: Hear) -> None:
        self._rate = rate
        self._hear = hear
        self._tasks = Background("caller's track")
        self._task: asyncio.Task[None] | None = None
        self._sid: str | None = None

    def listen(self, track: rtc.Track) -> None:
        """Hear this track from now on, and no other."""
        if track.sid == self._sid and self._task is not None and not self._task.done():
            return
        self.stop()
        self._sid = track.sid
        self._task = self._tasks.start(self._read(track), f"hear {track.sid}")

    def stop(self) -> None:
        """Hear nothing."""
        if self._task is not None:
            self._task.cancel()
        self._task = self._sid = None

    async def _read(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=self._rate, num_channels=1, frame_size_ms=HEAR_MS)
        try:
            async for event in stream:
                await self._hear(bytes(event.frame.data))
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await stream.aclose()
