import numpy as np

from bench.words.recordings import RATE, readings, through, wordless


def test_readings_have_words_and_sound() -> None:
    assert {each.name for each in readings()} == {"two_cities", "beckett"}
    for each in readings():
        assert each.samples.size > 9 * RATE
        assert np.abs(each.samples).max() <= 1


def test_sounds_without_words_are_music_noise_and_keys_but_no_crowd() -> None:
    names = set(wordless())
    assert {"hold_music", "keyboard-typing", "office-ambience", "dtmf-5", "white noise", "tone", "success"} <= names
    assert "crowded-room" not in names


def test_a_telephone_has_no_high_sounds() -> None:
    times = np.arange(RATE) / RATE
    high, low = np.sin(2 * np.pi * 6000 * times), np.sin(2 * np.pi * 1000 * times)
    assert np.std(through(high.astype(np.float32), 8000)) < 0.01
    assert np.std(through(low.astype(np.float32), 8000)) > 0.6
