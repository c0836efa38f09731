import numpy as np
import pytest

from bench.words.recordings import Reading
from bench.words.score import made_up, plain, score

NOTHING = np.zeros(0, np.float32)


@pytest.mark.parametrize(
    ("understood", "rate"),
    [("Ever tried? Ever failed.", 0.0), ("ever tried ever", 0.25), ("", 1.0), ("Ever tried and ever failed.", 0.25)],
)
def test_the_error_rate_counts_words_wrong_missing_and_too_many(understood: str, rate: float) -> None:
    found = score(Reading("a", "Ever tried. Ever failed.", NOTHING), 8000, understood)
    assert found.error_rate == pytest.approx(rate)
    assert (found.name, found.rate, found.words) == ("a", 8000, 4)


def test_marks_and_case_do_not_count() -> None:
    assert plain("It’s, 4 ♪ O'Clock!") == "it's 4 o'clock"


def test_made_up_words_are_counted_by_sound() -> None:
    assert made_up({"hum": "", "music": "♪♪", "typing": "Thank you."}) == {"hum": 0, "music": 0, "typing": 2}
