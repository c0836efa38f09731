"""The agent's voice through a loudspeaker and a room, and human voices over it."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import soxr

from bench.harness.speech import utterances
from pipeline.local.tts import synthesise
from pipeline.talk.loopback import HINT, SURE
from pipeline.talk.own_sound import DELAY_SECONDS, RATE, Timeline, explained

FULL, BEGIN = 16_000, 100.0


@functools.cache
def humans() -> list[np.ndarray]:
    return [voice.samples.astype(np.float32) / 32768 for voice in utterances()]


@functools.cache
def agent() -> np.ndarray:
    pcm, rate = synthesise("I can tell you about our opening hours, the way to us, and the people who work here.")
    return soxr.resample(pcm.astype(np.float32) / 32768, rate, FULL)


def given_back(sound: np.ndarray, delay: float, level: float) -> np.ndarray:
    """The sound as a microphone hears it: later, fainter (dB), with the room's reverberation and noise."""
    random = np.random.default_rng(0)
    times = np.arange(FULL // 8) / FULL
    room = random.standard_normal(times.size) * np.exp(-times / 0.03)
    room[0] = 3
    bins = 1 << (sound.size + room.size).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, bins) * np.fft.rfft(room, bins), bins)[: sound.size]
    wet *= 10 ** (level / 20) * np.std(sound) / np.std(wet)
    return (
        np.concatenate([np.zeros(int(delay * FULL)), wet]) + random.standard_normal(wet.size + int(delay * FULL)) * 2e-4
    )


def timeline(sound: np.ndarray) -> Timeline:
    made, pcm = Timeline(FULL), (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
    for at in range(0, len(pcm), 1280):
        made.put(pcm[at : at + 1280], BEGIN + at / (2 * FULL))
    return made


def share(heard: np.ndarray, begin: float, end: float) -> float:
    """How much of what was heard between these seconds of the recording the agent's sound explains."""
    first, last = BEGIN + begin, BEGIN + end
    return explained(timeline(heard).between(first, last), timeline(agent()).between(first - DELAY_SECONDS, last))


@pytest.mark.parametrize("level", [-12, -20, -28, -34])
@pytest.mark.parametrize("delay", [0.1, 0.3, 0.5])
def test_an_echo_is_the_agents_own_sound(delay: float, level: float) -> None:
    heard = given_back(agent(), delay, level)
    assert share(heard, delay + 0.1, delay + 0.9) > SURE
    assert share(heard, delay + 1.0, delay + 3.0) > SURE


@pytest.mark.parametrize("seconds", [0.5, 1.5])
def test_no_human_voice_is_the_agents_own_sound(seconds: float) -> None:
    for human in (voice[: int(seconds * FULL)] for voice in humans()):
        for begin in (0.3, 1.7):
            heard = np.concatenate([np.zeros(int(begin * FULL)), human, np.zeros(FULL)])
            assert share(heard, begin, begin + human.size / FULL) < HINT


@pytest.mark.parametrize("level", [-20, -34])
def test_a_human_voice_over_an_echo_is_not_the_agents_own_sound(level: float) -> None:
    echo = given_back(agent(), 0.2, level)
    for human in (voice[:FULL] for voice in humans()):
        heard = echo.copy()
        heard[FULL : FULL + human.size] += human
        assert share(heard, 1.0, 2.0) < SURE


def test_silence_and_too_little_sound_say_nothing() -> None:
    assert explained(np.zeros(RATE), np.ones(2 * RATE)) == 0.0
    assert explained(np.ones(10), np.ones(10 + RATE)) == 0.0
    assert explained(np.random.default_rng(0).standard_normal(RATE), np.zeros(2 * RATE)) == 0.0


def test_a_timeline_is_silent_where_nothing_sounded_and_forgets() -> None:
    line = Timeline(FULL)
    assert line.end == 0.0
    ones = (np.ones(FULL) * 16384).astype("<i2").tobytes()
    line.put(ones, 100.0)
    line.put(ones, 102.0)
    assert line.end == 103.0
    assert line.between(100.5, 102.5).tolist() == [0.5] * (RATE // 2) + [0.0] * RATE + [0.5] * (RATE // 2)
    line.cut(102.25)
    assert line.end == 102.25
    line.cut(101.0)
    assert line.end == 101.0
    line.put(ones, 130.0)
    assert not line.between(100.0, 101.0).any()
