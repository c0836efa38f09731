"""The agent's voice comes back from a loudspeaker; WebRTC takes it out again, and leaves the caller's."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from pipeline.local.tts import synthesise
from pipeline.talk.audio_ends import IN_RATE, OUT_RATE
from tests.pipeline.local.sounds import recording
from worker.call.audio import QUEUE_MS
from worker.call.echo import BEHIND_SECONDS, EchoCanceller

pytestmark = pytest.mark.anyio

CHUNK = 0.04  # seconds, as the pipeline writes
HEARD = 0.032  # as a room delivers
DELAY, LEVEL = 0.2, 0.2  # seconds, and of the agent's own amplitude: -14 dB


def nothing() -> None:
    """Nobody asks."""


class Track:
    """An agent's track that takes everything."""

    def __init__(self) -> None:
        self.pcm, self.clears = b"", 0

    async def write(self, pcm: bytes) -> None:
        self.pcm += pcm

    def queued(self) -> float:
        return 0.1

    def clear(self) -> None:
        self.clears += 1

    async def drain(self) -> None:
        """All has been played."""


class Ears:
    """What the pipeline hears."""

    def __init__(self) -> None:
        self.pcm = b""

    async def hear(self, pcm: bytes) -> None:
        self.pcm += pcm

    @property
    def samples(self) -> np.ndarray:
        return np.frombuffer(self.pcm, "<i2").astype(np.float32) / 32768


def pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def agent() -> np.ndarray:
    sound, _ = synthesise("Good afternoon. I can tell you about our opening hours, and the people who work here.")
    return np.concatenate([sound.astype(np.float32) / 32768] * 2)


def given_back(agents: np.ndarray) -> np.ndarray:
    heard = soxr.resample(agents, OUT_RATE, IN_RATE)
    return np.concatenate([np.zeros(int(DELAY * IN_RATE), np.float32), LEVEL * heard])


async def held(canceller: EchoCanceller, agents: np.ndarray, callers: np.ndarray) -> np.ndarray:
    """Play and listen at the same time, step by step; what the pipeline hears."""
    ears, played, heard = Ears(), pcm(agents), pcm(callers)
    hear, now, out = canceller.before(ears.hear), 0.0, 0
    for at in range(0, len(heard), 2 * int(HEARD * IN_RATE)):
        now = at / (2 * IN_RATE)
        while out <= (now + QUEUE_MS / 1000) * 2 * OUT_RATE and out < len(played):
            size = 2 * int(CHUNK * OUT_RATE)
            await canceller.write(played[out : out + size])
            out += size
        await hear(heard[at : at + 2 * int(HEARD * IN_RATE)])
    return ears.samples


def level(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


async def test_until_it_is_needed_all_sound_passes_as_it_is() -> None:
    agents = agent()
    echo = given_back(agents)
    heard = await held(EchoCanceller(Track(), OUT_RATE, IN_RATE, nothing), agents, echo)
    assert heard.tobytes() == (np.frombuffer(pcm(echo), "<i2").astype(np.float32) / 32768).tobytes()


async def test_the_agents_own_voice_is_taken_out() -> None:
    begun: list[int] = []
    agents, canceller = agent(), EchoCanceller(Track(), OUT_RATE, IN_RATE, lambda: begun.append(1))
    canceller.begin()
    canceller.begin()
    assert begun == [1]
    echo = given_back(agents)
    heard = await held(canceller, agents, echo)
    assert echo.size - heard.size < IN_RATE // 50, "nothing is lost"
    assert level(heard) < level(echo) / 10


async def test_a_caller_who_speaks_over_an_echo_is_left() -> None:
    agents, canceller = agent(), EchoCanceller(Track(), OUT_RATE, IN_RATE, nothing)
    canceller.begin()
    both, voice = given_back(agents), recording("two_cities")[int(1.1 * IN_RATE) : int(4.1 * IN_RATE)]
    begin = both.size - voice.size
    both[begin:] += voice
    heard = await held(canceller, agents, both)
    assert level(heard[begin:]) > level(voice) / 2


async def test_what_was_never_played_is_forgotten() -> None:
    track = Track()
    canceller = EchoCanceller(track, OUT_RATE, IN_RATE, nothing)
    canceller.begin()
    for _ in range(100):
        await canceller.write(bytes(2 * int(CHUNK * OUT_RATE)))
    assert len(canceller._played) <= 2 * OUT_RATE * BEHIND_SECONDS
    canceller.clear()
    assert not canceller._played
    assert track.clears == 1
    assert canceller.queued() == 0.1
    await canceller.drain()
