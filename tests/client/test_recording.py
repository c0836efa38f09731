"""What an agent's track carries is kept and timed; the whole of it is tested with a caller in a room."""

import numpy as np
import pytest

from client.recording import RATE, RoomRecording
from client.waveform import Take

pytestmark = pytest.mark.anyio


async def test_what_was_heard_is_measured_over_all_tracks():
    ear = RoomRecording()
    for begin in (10.0, 12.0):
        take = Take(RATE)
        for n in range(50):
            take.add(np.full(RATE // 100, 3000, np.int16), begin + n / 100)
        ear.takes.append(take)
    assert ear.first_sound(10.7) == pytest.approx(12.0)
    assert ear.gaps(10.0, 13.0, longer=0.5) == [(pytest.approx(10.5), pytest.approx(1.5))]
    assert ear.silence_onset(10.2, quiet=1.0) == pytest.approx(10.5)
    assert ear.recording(10.0).seconds == pytest.approx(2.5, abs=0.02)


async def test_an_ear_that_heard_nothing_measures_nothing_and_closes():
    ear = RoomRecording()
    assert ear.first_sound(0.0) is None
    assert ear.last_sound is None
    await ear.close()
