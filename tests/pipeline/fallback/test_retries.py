import pytest

from pipeline.fallback.retries import PAUSES, Retries
from pipeline.providers.spec import ANSWER_SHARE

PATIENCE = 8.0


def failing_at_once(retries: Retries, now: float, *, since: float | None = None) -> list[float]:
    """The pauses until there is none, with an LLM that fails at once."""
    since = now if since is None else since
    pauses = []
    while (pause := retries.pause(now, since)) is not None:
        pauses.append(pause)
        now += pause
    return pauses


def test_the_pauses_grow_and_fill_the_callers_patience() -> None:
    pauses = failing_at_once(Retries(PATIENCE), now=100.0)
    assert pauses == sorted(pauses)
    assert PATIENCE - PAUSES[-1] <= sum(pauses) < PATIENCE


def test_an_outage_of_three_seconds_is_outlived() -> None:
    assert sum(failing_at_once(Retries(PATIENCE), now=0.0)) > 3


@pytest.mark.parametrize(("took", "again"), [(5.9, True), (PATIENCE * ANSWER_SHARE, False), (7.9, False)])
def test_an_error_that_came_late_is_followed_by_a_try_only_while_there_is_time(took: float, again: bool) -> None:
    assert (Retries(PATIENCE).pause(took, since=0.0) is not None) is again


def test_after_words_were_heard_all_tries_are_there_again() -> None:
    retries = Retries(PATIENCE)
    first = failing_at_once(retries, now=0.0)
    assert failing_at_once(retries, now=9.0) == []
    retries.progressed(9.0)
    assert failing_at_once(retries, now=9.0, since=0.0) == first
