"""A caller who is there and says nothing: asked once, then the call ends."""

from __future__ import annotations

import pytest

from pipeline.talk.turn_observer import Activity
from worker.call.silence import LOOK_SECONDS, CallerSilence, Verdict


def silence(ask: float | None = 60.0, end: float | None = 100.0) -> CallerSilence:
    """Of a caller who has just come, at 0."""
    made = CallerSilence(ask, end)
    made.words(0.0)
    return made


def test_a_silent_caller_is_asked_once_and_then_the_call_ends() -> None:
    caller = silence()
    assert caller.verdict(59.9) is None
    assert caller.verdict(60.0) is Verdict.ASK
    assert caller.verdict(61.0) is None
    caller.activity(Activity.AGENT_STARTED, 61.0)
    assert caller.verdict(62.0) is None
    caller.activity(Activity.AGENT_STOPPED, 62.0)  # its own question is no sign of the caller
    assert caller.verdict(99.9) is None
    assert caller.verdict(100.0) is Verdict.END


def test_words_begin_the_silence_anew_and_the_question_too() -> None:
    caller = silence()
    assert caller.verdict(60.0) is Verdict.ASK
    caller.words(70.0)
    assert caller.verdict(129.9) is None
    assert caller.verdict(130.0) is Verdict.ASK


def test_it_lasts_from_the_end_of_what_the_agent_says_or_does() -> None:
    caller = silence()
    caller.activity(Activity.AGENT_STARTED, 10.0)
    assert caller.verdict(80.0) is None
    caller.activity(Activity.AGENT_STOPPED, 80.0)
    caller.working(100.0)
    assert caller.verdict(159.9) is None
    assert caller.verdict(160.0) is Verdict.ASK


def test_a_sound_without_words_puts_it_off_only_while_it_lasts() -> None:
    caller = silence()
    caller.activity(Activity.USER_STARTED, 50.0)
    assert caller.verdict(99.0) is None
    caller.activity(Activity.USER_STOPPED, 99.0)
    assert caller.verdict(99.0) is Verdict.ASK
    assert caller.verdict(100.0) is Verdict.END


def test_a_caller_who_is_away_is_not_silent() -> None:
    caller = silence()
    caller.away()
    caller.working(50.0)
    assert caller.verdict(1000.0) is None
    assert CallerSilence(1.0, 1.0).verdict(1000.0) is None


@pytest.mark.parametrize(("ask", "end", "matters"), [(None, None, False), (1.0, None, True), (None, 1.0, True)])
def test_each_can_be_off(ask: float | None, end: float | None, matters: bool) -> None:
    caller = silence(ask, end)
    assert caller.matters is matters
    assert caller.verdict(5.0) is (Verdict.END if end else Verdict.ASK if ask else None)


def test_the_next_look_is_when_something_is_due() -> None:
    caller = silence(ask=10.0, end=12.0)
    assert caller.pause(0.0) == LOOK_SECONDS
    assert caller.pause(9.5) == 0.5
    caller.verdict(10.0)
    assert caller.pause(10.0) == LOOK_SECONDS
    assert caller.pause(13.0) == 0.0
    caller.away()
    assert caller.pause(13.0) == LOOK_SECONDS
