"""What the agent hears of a caller that shares a screen with sound, through a real livekit-server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from livekit import rtc

from tests.pipeline.stage import until
from tests.session.making import a_session
from tests.support.livekit import LiveKit
from tests.support.standin import token
from tests.worker.room_scene import Events, Reader
from worker.call.audio import CallerTrack
from worker.call.room_events import RoomEvents

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

RATE = 16_000  # Hz
VOICE, VIDEO = 440, 1500  # Hz: the tones of the caller's microphone and of its shared screen
WINDOW = RATE * 2 // 5  # bytes of 0.2 s


class Hearing:
    """The last 0.2 s of what is heard; `pitches`: every pitch so far."""

    def __init__(self) -> None:
        self.pitches: list[int] = []
        self._pcm = b""

    async def hear(self, pcm: bytes) -> None:
        self._pcm += pcm
        if len(self._pcm) >= WINDOW:
            samples = np.frombuffer(self._pcm, np.int16).astype(float)
            self._pcm = b""
            loud = float(np.sqrt(np.mean(samples**2))) > 500
            found = float(np.argmax(np.abs(np.fft.rfft(samples)))) * RATE / len(samples)
            self.pitches.append(round(found) if loud else 0)

    async def until(self, pitch: int, what: str, times: int = 2) -> None:
        """Return when this pitch, or silence (0), has been heard so many times from now on."""
        before = len(self.pitches)
        await until(lambda: sum(abs(each - pitch) < 50 for each in self.pitches[before:]) >= times, what, seconds=10)


@asynccontextmanager
async def tone(room: rtc.Room, pitch: int, source: rtc.TrackSource.ValueType) -> AsyncIterator[rtc.LocalAudioTrack]:
    """A track that sounds like this until the block ends; then it is unpublished."""
    out = rtc.AudioSource(RATE, 1, queue_size_ms=100)
    track = rtc.LocalAudioTrack.create_audio_track(str(pitch), out)
    publication = await room.local_participant.publish_track(track, rtc.TrackPublishOptions(source=source))
    wave = (8000 * np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE)).astype(np.int16)  # of a second, whole periods

    async def play() -> None:
        while True:
            for start in range(0, RATE, RATE // 100):
                chunk = wave[start : start + RATE // 100].tobytes()
                await out.capture_frame(rtc.AudioFrame(chunk, RATE, 1, RATE // 100))

    playing = asyncio.create_task(play(), name=f"tone {pitch}")
    try:
        yield track
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        await room.local_participant.unpublish_track(publication.sid)


async def test_a_caller_that_shares_a_screen_with_sound_is_heard_and_its_video_is_not(livekit: LiveKit) -> None:
    name, events, hearing = f"room-{secrets.token_hex(4)}", Events(), Hearing()
    agent, page = rtc.Room(), rtc.Room()
    watcher = RoomEvents(agent, a_session(adopted=True), events)
    try:
        await agent.connect(livekit.url, token(name, "agent", agent=True))
        watcher.arrive(CallerTrack(RATE, hearing.hear), Reader())
        await page.connect(livekit.url, token(name, "caller"))
        async with tone(page, VOICE, rtc.TrackSource.SOURCE_MICROPHONE) as microphone:
            await hearing.until(VOICE, "the microphone is heard")
            async with tone(page, VIDEO, rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO):
                await until(lambda: len(agent.remote_participants["caller"].track_publications) == 2, "both are there")
                await hearing.until(VOICE, "the microphone is heard beside the screen", times=5)
                microphone.mute()
                await hearing.until(0, "a muted microphone is silent")
                microphone.unmute()
                await hearing.until(VOICE, "the microphone is heard again")
            await until(lambda: len(agent.remote_participants["caller"].track_publications) == 1, "the screen is gone")
            await hearing.until(VOICE, "the microphone is heard after the screen")
        assert not any(abs(pitch - VIDEO) < 50 for pitch in hearing.pitches)
    finally:
        watcher.close()
        await page.disconnect()
        await agent.disconnect()
