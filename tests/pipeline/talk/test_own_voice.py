import pytest

from pipeline.talk.own_voice import OwnVoice, words

QUESTION = "Your code is 4 1 5. Is that right?"
SECONDS = 2.6  # that it takes


def spoken(text: str = QUESTION, seconds: float = SECONDS, *, begin: float = 100.0, until: float = 1e9) -> OwnVoice:
    """An agent that has said this, from one second of the clock on, until it was silenced."""
    voice, step = OwnVoice(), 0.04
    for chunk in range(int(seconds / step) + 1):
        voice.plays(text, text, played=chunk * step, total=seconds, at=begin + chunk * step)
    voice.silenced(until)
    return voice


@pytest.mark.parametrize("late", [0.05, 0.3, 0.5])
def test_what_the_agent_says_comes_back_as_its_own(late: float) -> None:
    assert spoken().said("Your code is four one five.", 100.0 + late, 101.5 + late)


def test_an_echo_that_silenced_the_agent_has_only_a_few_words_and_parts_of_words() -> None:
    voice = spoken("Good afternoon, this is the greenroom.", 2.4, until=100.6)
    assert voice.said("Good after", 100.2, 100.9)


def test_badly_heard_words_are_still_the_agents() -> None:
    assert spoken("How can I help you today?", 1.6).said("can I hell you", 100.5, 101.4)


def test_a_read_back_is_the_callers() -> None:
    assert not spoken().said("4 1 5.", 101.0 + SECONDS, 102.0 + SECONDS)
    assert not spoken("4 1 5?", 1.0).said("4-1-5", 101.3, 102.2)


@pytest.mark.parametrize(
    "text", ["No.", "Wait, that is wrong.", "Stop.", "four one six eight", "I never said that at all", "", "..."]
)
def test_a_caller_who_interrupts_says_something_else(text: str) -> None:
    assert not spoken().said(text, 100.8, 101.6)


def test_words_that_were_cut_off_before_they_were_played_are_not_the_agents() -> None:
    assert spoken().said("is that right", 101.9, 102.7)
    assert not spoken(until=101.0).said("is that right", 101.9, 102.7)


def test_an_agent_that_has_said_nothing_has_no_echo() -> None:
    assert not OwnVoice().said("Hello.", 100.0, 100.5)


def test_what_was_said_long_ago_is_forgotten() -> None:
    voice = spoken()
    voice.plays("later", "Something else.", played=0.0, total=1.0, at=150.0)
    assert not voice.said("your code is four one five", 100.1, 101.5)


def test_numbers_are_compared_digit_by_digit() -> None:
    assert words("It’s 415, four-one FIVE") == ["it's", "4", "1", "5", "4", "1", "5"]
