import pytest

from pipeline.providers.spec import ANSWER_SHARE
from pipeline.talk.retries import PAUSES, Retries

PATIENCE = 8.0


def failing_at_once(retries: Retries, now: float, *, messages: int = 1) -> list[float]:
    """The pauses until there is none, with an LLM that fails at once."""
    retries.ask(now, messages)
    pauses = []
    while (pause := retries.pause(now)) is not None:
        pauses.append(pause)
        now += pause
        retries.ask(now, messages)
    return pauses


def test_the_pauses_grow_and_fill_the_callers_patience() -> None:
    pauses = failing_at_once(Retries(PATIENCE), now=100.0)
    assert pauses == sorted(pauses)
    assert PATIENCE - PAUSES[-1] <= sum(pauses) < PATIENCE


def test_an_outage_of_three_seconds_is_outlived() -> None:
    assert sum(failing_at_once(Retries(PATIENCE), now=0.0)) > 3


@pytest.mark.parametrize(("took", "again"), [(5.9, True), (PATIENCE * ANSWER_SHARE, False), (7.9, False)])
def test_an_error_that_came_late_is_followed_by_a_try_only_while_there_is_time(took: float, again: bool) -> None:
    retries = Retries(PATIENCE)
    retries.ask(0.0, 1)
    assert (retries.pause(took) is not None) is again


def test_after_an_answer_was_heard_all_tries_are_there_again() -> None:
    retries = Retries(PATIENCE)
    first = failing_at_once(retries, now=0.0)
    retries.over()
    assert failing_at_once(retries, now=60.0) == first


def test_something_new_has_all_its_tries() -> None:
    retries = Retries(PATIENCE)
    first = failing_at_once(retries, now=0.0)
    assert failing_at_once(retries, now=9.0) == []
    assert failing_at_once(retries, now=9.0, messages=2) == first


def test_an_error_of_an_llm_that_was_never_asked_is_followed_by_a_try() -> None:
    assert Retries(PATIENCE).pause(5.0) == PAUSES[0]
