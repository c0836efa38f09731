"""How long a pause must be, by what the model and the words say."""

import pytest

from pipeline.talk.turn_end import CLAUSE_SECONDS, dangling, is_clause, seconds_of_pause

TIMEOUT = 1.2


@pytest.mark.parametrize(
    "words",
    ["I would like to", "And my", "It was the spring of.", "It's me and", "The period was so far like the", "Um, I'd"],
)
def test_words_that_break_off(words: str) -> None:
    assert dangling(words)
    assert seconds_of_pause(0.98, words, TIMEOUT) == TIMEOUT


@pytest.mark.parametrize(
    "words", ["", "No.", "I", "That", "What are you looking for?", "Log in", "4 1 5", "I want a pizza"]
)
def test_words_that_may_be_all(words: str) -> None:
    assert not dangling(words)
    assert seconds_of_pause(0.98, words, TIMEOUT) == 0.0


@pytest.mark.parametrize(
    ("words", "whole"),
    [("It was the winter of despair.", True), ("Are you there?", True), ("Right.", False), ("It was the best,", False)],
)
def test_a_sentence_that_stands_alone(words: str, whole: bool) -> None:
    assert is_clause(words) is whole


def test_a_whole_sentence_ends_sooner_than_one_that_the_words_leave_open() -> None:
    assert seconds_of_pause(0.3, "It was the winter of despair.", TIMEOUT) == CLAUSE_SECONDS
    assert seconds_of_pause(0.3, "It was the best of times,", TIMEOUT) == TIMEOUT
    assert seconds_of_pause(0.0, "", TIMEOUT) == TIMEOUT


def test_no_pause_is_longer_than_the_setting() -> None:
    assert seconds_of_pause(0.05, "It was the winter of despair.", 0.3) == 0.3
