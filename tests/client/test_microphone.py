"""Speech leaves at the pace at which it sounds, one thing after the other."""

import asyncio
import time

import numpy as np
import pytest

from client.microphone import Microphone
from client.wav import Sound

pytestmark = pytest.mark.anyio


def speech(lead, seconds, trail, rate=8000):
    parts = [np.zeros(int(rate * lead)), np.full(int(rate * seconds), 4000), np.zeros(int(rate * trail))]
    return Sound(np.concatenate(parts).astype(np.int16), rate)


@pytest.fixture
async def microphone():
    made = Microphone()
    made.open()
    yield made
    await made.close()


async def test_the_voice_is_timed_without_the_silence_around_it(microphone):
    before = time.monotonic()
    said = await microphone.speak(speech(lead=0.1, seconds=0.3, trail=0.2))
    after = time.monotonic()
    assert said.ended - said.began == pytest.approx(0.3, abs=0.05)
    assert after - before == pytest.approx(0.6, abs=0.25)  # 0.6 s of sound, and up to 0.1 s that were queued before
    assert after - said.ended == pytest.approx(0.2, abs=0.1)


async def test_two_things_are_said_one_after_the_other(microphone):
    first, second = await asyncio.gather(
        microphone.speak(speech(0.0, 0.2, 0.0)), microphone.speak(speech(0.0, 0.2, 0.0))
    )
    assert second.began - first.ended == pytest.approx(0.0, abs=0.05)


async def test_nothing_to_say_takes_no_time(microphone):
    said = await asyncio.wait_for(microphone.speak(Sound(np.zeros(0, np.int16), 16000)), 1)
    assert said.began == pytest.approx(said.ended)


async def test_what_waited_is_dropped_when_it_is_told_to_hush(microphone):
    waiting = [asyncio.create_task(microphone.speak(speech(0.0, 10.0, 0.0))) for _ in range(2)]
    await asyncio.sleep(0)
    microphone.hush()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [task.cancelled() for task in waiting] == [True, True]


async def test_closing_twice_is_no_fault():
    made = Microphone()
    made.open()
    await made.close()
    await made.close()
