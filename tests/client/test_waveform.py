"""Times are read from synthetic sound whose begin and end are known."""

import numpy as np
import pytest

from client import waveform
from client.wav import Sound
from client.waveform import Take

RATE = 24000
START = 1000.0  # of the caller's clock
FRAME = RATE // 100


def heard(*stretches, length, late=lambda n, at: at):
    """A take of `length` seconds that is loud within `stretches`, its frames arriving as `late` has it."""
    take = Take(RATE)
    for n in range(round(length * 100)):
        loud = any(begin <= n / 100 < end for begin, end in stretches)
        frame = np.full(FRAME, 3000 if loud else 10, np.int16)
        take.add(frame, late(n, START + n / 100))
    return take


def burst_from(first, last):
    """Frames `first` to `last` all come when the last of them does: the program was busy."""
    return lambda n, at: START + last / 100 if first <= n <= last else at


def near(seconds):
    return pytest.approx(START + seconds, abs=0.011)


def test_the_first_sound_is_found_within_a_frame():
    line = waveform.timeline([heard((0.7, 1.2), length=2)])
    assert waveform.first_sound(*line, START) == near(0.7)
    assert waveform.first_sound(*line, START + 0.9) == near(0.9)
    assert waveform.first_sound(*line, START + 1.3) is None


def test_frames_that_came_in_a_burst_are_put_back_where_they_belong():
    take = heard((0.7, 1.2), length=2, late=burst_from(60, 100))
    assert take.arrivals[70] == START + 1.0  # this is what the program saw
    assert waveform.first_sound(*waveform.timeline([take]), START) == near(0.7)


def test_a_true_pause_of_the_sender_moves_nothing():
    take = heard((0.0, 0.5), (0.5, 1.0), length=1, late=lambda n, at: at + (2.0 if n >= 50 else 0.0))
    times, loud = waveform.timeline([take])
    assert waveform.gaps(times, loud, START, START + 5, longer=0.5) == [(near(0.5), pytest.approx(2.0, abs=0.011))]


def test_sound_too_soft_to_hear_is_silence():
    take = Take(RATE)
    take.add(np.full(FRAME, int(waveform.AUDIBLE_RMS) - 1, np.int16), START)
    take.add(np.full(FRAME, int(waveform.AUDIBLE_RMS) + 1, np.int16), START + 0.01)
    assert take.loud == [False, True]


def test_silence_after_an_interruption_begins_where_the_last_sound_ends():
    line = waveform.timeline([heard((0.2, 1.0), (1.1, 1.4), length=3)])
    # The pause of 0.1 s within the speech is no silence; what follows 1.4 is.
    assert waveform.silence_onset(*line, START + 0.5, quiet=0.3) == near(1.4)


def test_silence_that_is_not_long_enough_yet_is_not_told():
    line = waveform.timeline([heard((0.2, 1.0), length=1.2)])
    assert waveform.silence_onset(*line, START + 0.5, quiet=0.3) is None


def test_silence_that_was_there_already_begins_when_it_was_asked_for():
    line = waveform.timeline([heard((0.2, 0.4), (2.0, 2.5), length=3)])
    assert waveform.silence_onset(*line, START + 1.0, quiet=0.3) == START + 1.0


def test_gaps_are_silences_between_sounds_and_not_before_or_after_them():
    line = waveform.timeline([heard((0.5, 1.0), (1.3, 1.5), (1.55, 2.0), length=3)])
    assert waveform.gaps(*line, START, START + 3, longer=0.2) == [(near(1.0), pytest.approx(0.3, abs=0.011))]


def test_two_tracks_are_one_line_of_time():
    first = heard((0.2, 0.4), length=1)
    second = heard((0.6, 0.8), length=1)
    line = waveform.timeline([first, second])
    assert waveform.spans(*line, join=0.1) == [(near(0.2), near(0.4)), (near(0.6), near(0.8))]


def test_where_nothing_was_heard_nothing_is_measured():
    line = waveform.timeline([])
    assert waveform.first_sound(*line, 0.0) is None
    assert waveform.silence_onset(*line, 0.0, quiet=0.1) is None
    assert waveform.spans(*line, join=1.0) == []
    assert len(waveform.mixed([], START).samples) == 0


def test_the_voice_of_a_recording_begins_and_ends_with_its_sound():
    samples = np.zeros(16000, np.int16)
    samples[4000:12000] = 2000
    assert waveform.voiced(Sound(samples, 16000)) == pytest.approx((0.25, 0.75), abs=0.011)
    assert waveform.voiced(Sound(np.zeros(16000, np.int16), 16000)) == (0.0, 0.0)


def test_a_recording_keeps_the_silence_before_and_between():
    late = heard((0.0, 0.2), length=0.5, late=lambda n, at: at + 1.0)
    later = heard((0.1, 0.3), length=0.5, late=lambda n, at: at + 3.0)
    sound = waveform.mixed([late, later], START)
    assert sound.seconds == pytest.approx(3.5, abs=0.02)
    loud = np.flatnonzero(np.abs(sound.samples) > 1000) / RATE
    assert loud[0] == pytest.approx(1.0, abs=0.02)
    assert loud[-1] == pytest.approx(3.3, abs=0.02)
