import pytest

from pipeline.talk.answer_wait import AT_WORK_SECONDS, EARLY_SECONDS, VOICE_SECONDS, AnswerWait, Filler

BOUND = 8.0
DUE = BOUND - EARLY_SECONDS


def test_silence_counts_from_the_end_of_the_callers_turn() -> None:
    wait = AnswerWait(BOUND)
    wait.turn_ends(100.0)
    wait.asked(101.0, waiting=False)
    assert wait.next(tool=False) == (100.0 + DUE, Filler.MOMENT)
    assert wait.mute


def test_a_sound_of_the_caller_long_before_is_no_turn() -> None:
    wait = AnswerWait(BOUND)
    wait.turn_ends(100.0)
    wait.asked(200.0, waiting=False)
    assert wait.since == 200.0 - BOUND / 2


def test_while_it_waits_a_caller_that_makes_a_sound_breaks_the_silence_itself() -> None:
    wait = AnswerWait(BOUND)
    wait.asked(100.0, waiting=False)
    wait.turn_ends(104.0)
    assert wait.next(tool=False)[0] == 104.0 + DUE
    assert wait.since == 100.0


def test_without_a_turn_it_counts_from_the_question() -> None:
    wait = AnswerWait(BOUND)
    wait.turn_ends(100.0)
    wait.turn_begins()
    wait.asked(200.0, waiting=False)
    assert wait.next(tool=False)[0] == 200.0 + DUE


@pytest.mark.parametrize("until", [103.0, 120.0])
def test_between_sentences_it_counts_from_the_end_of_the_last(until: float) -> None:
    wait = AnswerWait(BOUND)
    wait.asked(100.0, waiting=False)
    wait.heard(until)
    assert wait.next(tool=False)[0] == until + DUE
    assert wait.since == until
    assert not wait.mute


def test_a_question_of_a_tools_result_begins_no_new_silence() -> None:
    wait = AnswerWait(BOUND)
    wait.asked(100.0, waiting=False)
    wait.asked(106.0, waiting=True)
    assert wait.next(tool=False)[0] == 100.0 + DUE


def test_a_question_long_after_a_tool_that_ended_without_one_begins_anew() -> None:
    wait = AnswerWait(BOUND)
    wait.asked(100.0, waiting=False)
    wait.asked(200.0, waiting=True)
    assert wait.since == 200.0


def test_a_sentence_of_ours_is_no_answer() -> None:
    wait = AnswerWait(BOUND)
    wait.asked(100.0, waiting=False)
    wait.filled(107.5, 108.5, Filler.MOMENT, tool=False)
    assert wait.next(tool=False)[0] == 108.5 + DUE
    assert wait.since == 100.0


def test_a_tool_is_said_to_be_at_work_at_the_bound_and_then_every_fifteen_seconds() -> None:
    wait = AnswerWait(BOUND)
    wait.asked(100.0, waiting=False)
    due, filler = wait.next(tool=True)
    assert (due, filler) == (100.0 + DUE, Filler.AT_WORK)
    wait.filled(due, 0.0, filler, tool=True)
    wait.heard(due + 1.5)
    assert wait.next(tool=True) == (due + AT_WORK_SECONDS, Filler.AT_WORK)


def test_a_voice_that_does_not_say_that_a_tool_is_at_work_is_stood_in_for() -> None:
    wait = AnswerWait(BOUND)
    wait.asked(100.0, waiting=False)
    wait.filled(107.5, 0.0, Filler.AT_WORK, tool=True)
    assert wait.next(tool=True) == (107.5 + VOICE_SECONDS, Filler.MOMENT)
    wait.filled(109.5, 110.5, Filler.MOMENT, tool=True)
    assert wait.next(tool=True) == (109.5 + AT_WORK_SECONDS, Filler.AT_WORK)


def test_the_next_question_has_all_its_time() -> None:
    wait = AnswerWait(BOUND)
    wait.asked(100.0, waiting=False)
    wait.filled(107.5, 0.0, Filler.AT_WORK, tool=True)
    wait.asked(110.0, waiting=False)
    assert wait.next(tool=True) == (110.0 + DUE, Filler.AT_WORK)
