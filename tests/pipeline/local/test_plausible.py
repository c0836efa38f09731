import numpy as np
import pytest

from pipeline.local.plausible import Transcription, believed, centred, has_sound, loops, unsure

RATE = 16_000


def tone(level: float, seconds: float) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 300 * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


def test_a_quiet_voice_is_sound_and_the_noise_of_a_line_is_not():
    assert has_sound(tone(0.01, 0.3), RATE)
    assert not has_sound(tone(0.001, 0.3), RATE)


def test_a_click_is_no_word():
    click = np.zeros(RATE, np.float32)
    click[500:520] = 1
    assert not has_sound(click, RATE)


def test_a_constant_part_and_impossible_samples_are_taken_out():
    sound = np.array([0.5, 0.7, np.nan, 0.5, 0.7], np.float32)
    assert np.isfinite(centred(sound)).all()
    assert abs(centred(sound).mean()) < 1e-6
    assert centred(np.zeros(0, np.float32)).size == 0


@pytest.mark.parametrize("phrase", [[7], [7, 8], [1, 2, 3], list(range(8)), list(range(20))])
def test_a_phrase_over_and_over_is_a_loop(phrase):
    assert loops([99, 98] + phrase * (3 if len(phrase) > 8 else 12))


@pytest.mark.parametrize("tokens", [[], [5] * 6, [1, 2, 3] * 3, list(range(40)), list(range(20)) * 2])
def test_a_number_with_many_zeros_is_no_loop(tokens):
    assert not loops(tokens)


@pytest.mark.parametrize(
    ("text", "confidence"),
    [("You", -0.07), ("you.", -0.3), ("♪♪♪", -0.2), ("Thank you for watching!", -0.1),
     ("Thank you.", -0.4), ("So", -0.5), ("I'm going to show you how.", -1.2), ("", 0.0), ("...", -0.1),
     ("© transcript Emily Beynon", -0.46)],
)  # fmt: skip
def test_what_models_say_to_sound_without_words_is_not_believed(text, confidence):
    assert believed(Transcription(text, confidence)) == ""


@pytest.mark.parametrize(
    ("text", "confidence"),
    [("Thank you.", -0.1), ("Are you there?", -0.3), ("You are right.", -0.5), ("No.", -0.3), ("4 7 1 1", -0.6),
     ("Fail again, fail better.", -0.8)],
)  # fmt: skip
def test_what_callers_say_is_believed(text, confidence):
    assert believed(Transcription(text, confidence)) == text


def test_several_words_of_which_the_model_is_not_sure_may_be_invented():
    assert unsure(Transcription("Let's open the gates of it.", -0.67))
    assert not unsure(Transcription("Snake.", -0.9))
    assert not unsure(Transcription("That some of its noisiest authorities", -0.4))
