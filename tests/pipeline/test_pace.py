"""A text is cut at the end of a word, however much of it was said."""

import pytest

from pipeline.pace import whole_words


@pytest.mark.parametrize(
    ("share", "heard"),
    [
        (0.0, ""),
        (0.1, ""),  # "O": not a whole word yet
        (0.3, "One"),  # cut exactly at the space
        (0.4, "One"),  # cut just after the space
        (0.55, "One"),  # cut inside "two"
        (0.64, "One two"),
        (0.99, "One two"),
        (1.0, "One two six"),
        (1.7, "One two six"),
    ],
)
def test_a_text_is_cut_at_the_end_of_a_word(share: float, heard: str) -> None:
    assert whole_words("One two six", share) == heard


def test_no_text_has_no_words() -> None:
    assert whole_words("", 0.5) == ""


def test_half_a_word_that_stands_alone_was_not_heard() -> None:
    assert whole_words("Hippopotamus", 0.9) == ""
