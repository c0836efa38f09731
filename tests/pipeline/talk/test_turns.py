"""Gaps are measured from the end of the caller's turn to the agent's first sound; barge-ins are counted."""

import pytest

from pipeline.talk.turns import TurnClock


def test_an_answer_has_a_gap() -> None:
    clock = TurnClock()
    clock.user_started()
    clock.interrupted()
    clock.user_stopped(10.0)
    assert clock.agent_started(10.8) == pytest.approx(0.8)


def test_a_greeting_answers_nobody() -> None:
    clock = TurnClock()
    assert clock.agent_started(1.0) is None


def test_a_second_sentence_is_not_a_second_answer() -> None:
    clock = TurnClock()
    clock.user_started()
    clock.interrupted()
    clock.user_stopped(10.0)
    assert clock.agent_started(10.8) is not None
    clock.agent_stopped()
    assert clock.agent_started(12.0) is None


def test_a_caller_who_goes_on_is_answered_from_the_last_stop() -> None:
    clock = TurnClock()
    clock.user_started()
    clock.interrupted()
    clock.user_stopped(10.0)
    clock.user_started()
    assert clock.agent_started(10.2) is None
    clock.interrupted()
    clock.agent_stopped()
    clock.user_stopped(11.0)
    assert clock.agent_started(11.5) == pytest.approx(0.5)


def test_speaking_over_the_agent_is_a_barge_in() -> None:
    clock = TurnClock()
    clock.agent_started(1.0)
    clock.user_started()
    assert clock.barge_ins == 0, "a sound is none"
    clock.interrupted()
    clock.interrupted()
    assert clock.barge_ins == 1


def test_speaking_into_its_silence_is_none() -> None:
    clock = TurnClock()
    clock.user_started()
    clock.agent_started(1.0)
    clock.agent_stopped()
    clock.user_started()
    clock.interrupted()
    assert clock.barge_ins == 0


def test_a_turn_without_words_leaves_the_agent_speaking() -> None:
    clock = TurnClock()
    clock.agent_started(1.0)
    clock.user_started()
    assert clock.state == "listening"
    clock.user_stopped(2.0)
    assert clock.state == "speaking"


def test_a_turn_without_words_leaves_the_agent_thinking_since_the_question() -> None:
    clock = TurnClock()
    clock.user_started()
    clock.interrupted()
    clock.user_stopped(10.0)
    clock.user_started()
    clock.user_stopped(12.0)
    assert clock.state == "thinking"
    assert clock.agent_started(12.5) == pytest.approx(2.5)


def test_an_agent_that_ended_during_a_turn_without_words_listens_after_it() -> None:
    clock = TurnClock()
    clock.agent_started(1.0)
    clock.user_started()
    clock.agent_stopped()
    clock.user_stopped(2.0)
    assert clock.state == "listening"


def test_an_agent_that_is_cut_off_late_is_thinking_of_the_words_all_the_same() -> None:
    clock = TurnClock()
    clock.agent_started(1.0)
    clock.user_started()
    clock.interrupted()
    clock.user_stopped(2.0)
    clock.agent_stopped()
    assert clock.state == "thinking"
