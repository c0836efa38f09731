"""What a loudspeaker gives back, and what a caller says: the same words at another time, or in another voice."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from bench.harness.speech import utterances
from pipeline.local import stt
from pipeline.local.tts import synthesise
from pipeline.talk.audio_ends import IN_RATE, OUT_RATE
from pipeline.talk.heard import Playing
from pipeline.talk.loopback import Loopback
from tests.pipeline.local.sounds import recording
from tests.pipeline.stage import FakeSink

pytestmark = pytest.mark.anyio

CHUNK = 0.04  # seconds


class Room:
    """An agent that says a text from second 0 on, and what the microphone gives, on a clock of its own."""

    def __init__(self, text: str) -> None:
        self.now, self.text = 0.0, text
        self.pcm, _ = synthesise(text)
        self.seconds = self.pcm.size / OUT_RATE
        self.sink = FakeSink()
        self.loopback = Loopback(self.sink, OUT_RATE, IN_RATE, lambda: self.now)

    async def holds(self, microphone: np.ndarray, silent_at: float = 1e9) -> Room:
        """Play, and hear this at the same time; the agent is silenced at some second."""
        self.loopback.playing = lambda: Playing(1, self.text, self.now, self.seconds)
        size, step = int(CHUNK * OUT_RATE), int(CHUNK * IN_RATE)
        for chunk in range(int(microphone.size / step)):
            self.now = chunk * CHUNK
            if self.now >= silent_at:
                self.loopback.clear()
            elif chunk * size < self.pcm.size:
                self.sink.unplayed = CHUNK
                await self.loopback.write(self.pcm[chunk * size : (chunk + 1) * size].tobytes())
            self.now += CHUNK
            heard = microphone[chunk * step : (chunk + 1) * step]
            self.loopback.hears((np.clip(heard, -1, 1) * 32767).astype("<i2").tobytes())
        return self


def echo(room: Room, delay: float, level: float) -> np.ndarray:
    heard = soxr.resample(room.pcm.astype(np.float32) / 32768, OUT_RATE, IN_RATE)
    sound = np.concatenate([np.zeros(int(delay * IN_RATE)), 10 ** (level / 20) * heard, np.zeros(3 * IN_RATE)])
    return sound + np.random.default_rng(0).standard_normal(sound.size) * 2e-4


def said_at(seconds: float, voice: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(int(seconds * IN_RATE)), voice, np.zeros(2 * IN_RATE)])


@pytest.mark.parametrize("level", [-12, -24, -34])
async def test_the_agents_own_voice_is_known_whatever_was_understood(level: float) -> None:
    room = Room("Good afternoon. I can tell you about our opening hours.")
    await room.holds(echo(room, 0.25, level), silent_at=0.9)
    assert await room.loopback.own("Good after.", 0.3, 1.0)
    assert await room.loopback.own("Gut offer", 0.3, 1.0)
    assert await room.loopback.own("", 0.3, 1.0)


async def test_a_read_back_is_the_callers() -> None:
    room = Room("Four one five?")
    voice = soxr.resample(synthesise("Four one five.")[0].astype(np.float32) / 32768, OUT_RATE, IN_RATE)
    begin = room.seconds + 0.4
    await room.holds(said_at(begin, voice))
    assert not await room.loopback.own("4 1 5.", begin, begin + voice.size / IN_RATE)


async def test_a_human_who_says_the_agents_words_at_the_same_time_is_the_caller() -> None:
    room = Room("It was the best of times, it was the worst of times.")
    voice = recording("two_cities")[int(1.1 * IN_RATE) : int(4 * IN_RATE)]
    await room.holds(said_at(0.2, voice))
    assert not await room.loopback.own("It was the best of times.", 0.2, 1.6)


@pytest.mark.faults
async def test_no_human_who_speaks_over_the_agent_is_suppressed() -> None:
    stt.preload()
    for each in utterances():
        voice = each.samples.astype(np.float32) / 32768
        words = stt.model()(voice)
        for begin in (0.3, 1.9):
            room = Room("It was the best that we could do at the time, and it is the age of the telephone now, again.")
            await room.holds(said_at(begin, voice), silent_at=begin + 0.3)
            assert not await room.loopback.own(words, begin, begin + each.seconds)
            assert not await room.loopback.own(" ".join(words.split()[:2]), begin, begin + 0.6)


async def test_what_is_said_long_after_the_agent_is_the_callers() -> None:
    room = Room("Four one five?")
    await room.holds(np.zeros(10 * IN_RATE))
    assert not await room.loopback.own("Four one five.", 7.0, 8.0)
    assert room.loopback.queued() == CHUNK
