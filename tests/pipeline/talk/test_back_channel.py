"""Which words leave the agent its turn."""

import pytest

from pipeline.talk.back_channel import is_back_channel


@pytest.mark.parametrize(
    "words", ["Uh-huh.", "Mm-hm.", "Mhm", "Right.", "Okay, right.", "I see.", "Yeah, yeah.", "Hmm..."]
)
def test_a_listeners_words(words: str) -> None:
    assert is_back_channel(words, asked=False)


@pytest.mark.parametrize("words", ["Yes.", "Uh-huh.", "Right.", "No.", "Four."])
def test_over_a_question_every_word_is_its_answer(words: str) -> None:
    assert not is_back_channel(words, asked=True)


@pytest.mark.parametrize(
    "words",
    ["", "No.", "Wait.", "4 1 5", "Seven", "Right, but stop.", "Ah ah ah ah ah", "Rightly so", "Stop"],
)
def test_what_takes_the_turn(words: str) -> None:
    assert not is_back_channel(words, asked=False)
