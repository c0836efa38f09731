"""Recordings cut into what one says in a turn."""

import numpy as np
import pytest

from bench.harness.speech import cut, utterances
from client.wav import Sound
from client.waveform import voiced


def test_a_recording_is_cut_at_its_silences_and_nowhere_else():
    rate = 16000
    samples = np.zeros(rate * 12, np.int16)
    for begin, end in ((1.0, 2.0), (2.2, 3.0), (5.0, 5.5), (6.5, 8.5)):  # the first two are one: 0.2 s lie between
        samples[int(begin * rate) : int(end * rate)] = 3000
    found = cut(Sound(samples, rate))
    assert [each.seconds for each in found] == pytest.approx([2.2, 2.2], abs=0.05)  # the one of 0.5 s is too short


def test_there_is_enough_human_speech_for_a_run():
    found = utterances()
    assert len(found) >= 15
    assert all(voiced(each)[1] > 1.0 for each in found)
