"""Sound through LiveKit's own source and track, without a room: the agent's track is heard as a caller's."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from pipeline.talk.audio_ends import IN_RATE, OUT_RATE
from tests.pipeline.stage import until
from tests.worker.rooms import FakeRoom
from worker.call.audio import HEAR_MS, QUEUE_MS, AgentTrack, CallerTrack

pytestmark = pytest.mark.anyio

CHUNK = OUT_RATE // 25  # samples of 40 ms


def loud(samples: int = CHUNK) -> bytes:
    return (np.sin(np.arange(samples) / 8) * 12000).astype(np.int16).tobytes()


async def test_the_track_is_published_as_a_microphone() -> None:
    room = FakeRoom()
    track = AgentTrack(OUT_RATE)
    publication = await track.publish(room)  # type: ignore[arg-type]
    assert publication.sid == "TR_agent"
    assert room.local_participant.tracks == [track.track]
    track.close()


async def test_what_is_written_waits_to_be_played_and_can_be_taken_back() -> None:
    track = AgentTrack(OUT_RATE)
    for _ in range(4):
        await track.write(loud())
    assert 0.05 < track.queued() <= 0.16
    track.clear()
    assert track.queued() == pytest.approx(0, abs=0.02)
    track.close()


async def test_no_more_than_a_little_is_taken_ahead_of_time() -> None:
    track = AgentTrack(OUT_RATE)
    before = time.monotonic()
    for _ in range(15):  # 600 ms
        await track.write(loud())
    assert time.monotonic() - before > 0.6 - QUEUE_MS / 1000 - 0.1
    assert track.queued() <= QUEUE_MS / 1000 + 0.05
    track.close()


async def test_drained_means_played() -> None:
    track = AgentTrack(OUT_RATE)
    await track.write(loud())
    before = time.monotonic()
    async with asyncio.timeout(5):
        await track.drain()
    assert time.monotonic() - before < 1
    assert track.queued() == pytest.approx(0, abs=0.02)
    track.close()


async def test_a_clear_ends_the_wait_for_the_rest() -> None:
    track = AgentTrack(OUT_RATE)
    for _ in range(4):
        await track.write(loud())
    draining = asyncio.create_task(track.drain())
    await asyncio.sleep(0)
    track.clear()
    async with asyncio.timeout(5):
        await draining
    track.close()


async def test_a_closed_track_takes_no_more_sound() -> None:
    track = AgentTrack(OUT_RATE)
    track.close()
    for _ in range(20):
        await track.write(loud())
    assert track.queued() == pytest.approx(0, abs=0.02)


class Ears:
    """Keeps what is heard."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def hear(self, pcm: bytes) -> None:
        self.heard.append(pcm)

    @property
    def loudest(self) -> int:
        return max((int(np.abs(np.frombuffer(pcm, np.int16)).max()) for pcm in self.heard), default=0)


async def speak(track: AgentTrack, ears: Ears) -> None:
    """Speak on this track until it is heard."""
    deadline = time.monotonic() + 5
    while ears.loudest < 3000:
        assert time.monotonic() < deadline, "it is not heard"
        await track.write(loud())


async def test_a_track_is_heard_at_the_rate_of_the_pipeline() -> None:
    track, ears = AgentTrack(OUT_RATE), Ears()
    caller = CallerTrack(IN_RATE, ears.hear)
    caller.listen(track.track)
    await speak(track, ears)
    assert {len(pcm) for pcm in ears.heard} == {2 * IN_RATE * HEAR_MS // 1000}
    caller.stop()
    track.close()


async def test_after_a_stop_nothing_is_heard() -> None:
    track, ears = AgentTrack(OUT_RATE), Ears()
    caller = CallerTrack(IN_RATE, ears.hear)
    caller.listen(track.track)
    await speak(track, ears)
    (reading,) = [task for task in asyncio.all_tasks() if task.get_name().startswith("hear ")]
    caller.stop()
    await until(reading.done, "the reading ends")
    count = len(ears.heard)
    for _ in range(5):
        await track.write(loud())
    assert len(ears.heard) == count
    caller.stop()
    track.close()


async def test_listening_to_a_track_again_goes_on_with_it() -> None:
    track, ears = AgentTrack(OUT_RATE), Ears()
    caller = CallerTrack(IN_RATE, ears.hear)
    caller.listen(track.track)
    before = {task for task in asyncio.all_tasks() if task.get_name().startswith("hear ")}
    caller.listen(track.track)
    assert {task for task in asyncio.all_tasks() if task.get_name().startswith("hear ")} == before
    await speak(track, ears)
    caller.stop()
    track.close()
