import numpy as np
import pytest

from pipeline.local.pieces import pieces, seam

RATE = 16_000


def speech(seconds: float, *pauses: float) -> np.ndarray:
    """Something as loud as speech, with a pause of 0.2 s that begins at each of these seconds."""
    sound = (np.random.default_rng(0).standard_normal(int(seconds * RATE)) * 0.1).astype(np.float32)
    for pause in pauses:
        sound[int(pause * RATE) : int((pause + 0.2) * RATE)] *= 0.01
    return sound


def test_long_sound_is_cut_in_a_pause_and_nothing_is_lost():
    sound = speech(30, 10)
    cut = pieces(sound, RATE)
    assert np.concatenate(cut).tolist() == sound.tolist()
    assert max(piece.size for piece in cut) <= 12 * RATE
    assert 10 * RATE <= cut[0].size <= 10.2 * RATE


@pytest.mark.parametrize("sound", [speech(3.9, 3), speech(11.9), speech(8, 1), np.zeros(0, np.float32)])
def test_speech_that_goes_on_is_not_cut_before_a_pause(sound):
    assert seam(sound, RATE) is None


def test_speech_that_goes_on_is_cut_in_the_newest_pause():
    assert 5 * RATE < seam(speech(6, 5), RATE) < 5.2 * RATE


@pytest.mark.parametrize("seconds", [12, 30])
def test_speech_without_any_pause_is_cut_all_the_same(seconds):
    assert 6 * RATE <= seam(speech(seconds), RATE) <= 12 * RATE


def test_silence_is_cut_at_last():
    assert seam(np.zeros(5 * RATE, np.float32), RATE) is None
    assert seam(np.zeros(12 * RATE, np.float32), RATE) is not None
