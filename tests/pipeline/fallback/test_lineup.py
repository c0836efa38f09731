"""Who of several candidates does the work: nobody twice in a round, the failed ones last, the first one again later."""

import pytest

from pipeline.fallback.candidates import OPEN_SECONDS, OPENING_FAILURES, Candidate, OwnCircuits
from pipeline.fallback.lineup import REST_SECONDS, Lineup
from pipeline.fallback.retries import PAUSES

A, B = (Candidate(name, f"tts/{name}/1", lambda: None) for name in "ab")


def lineup(*candidates, circuits=None, patience=8.0):
    return Lineup(candidates, circuits or OwnCircuits(), patience)


def test_the_first_candidate_does_the_work_and_the_next_after_it_has_failed():
    line = lineup(A, B)
    assert line.pick(0.0) is A
    line.failed(A, 0.0)
    assert line.pick(0.0) is B
    line.failed(B, 0.0)
    assert line.pick(0.0) is None


def test_one_that_failed_rests_in_the_next_work_too_and_then_is_preferred_again():
    line = lineup(A, B)
    line.failed(A, 0.0)
    line.worked(B, 0.1)
    assert line.pick(1.0) is B
    assert line.prefers(B, REST_SECONDS - 1) is B
    assert line.prefers(B, REST_SECONDS) is A
    assert line.prefers(A, REST_SECONDS) is A


def test_one_in_use_is_left_for_the_next_when_other_calls_have_opened_its_circuit():
    circuits = OwnCircuits()
    line = lineup(A, B, circuits=circuits)
    for _ in range(OPENING_FAILURES):
        circuits.failed(A.key, 0.0)
    assert line.prefers(A, 1.0) is B
    assert line.prefers(B, 2.0) is B
    assert line.prefers(B, OPEN_SECONDS) is A
    assert lineup(A, circuits=circuits).prefers(A, OPEN_SECONDS + 1) is A


def test_one_that_rests_is_better_than_none():
    line = lineup(A, B)
    line.failed(A, 0.0)
    line.worked(B, 0.1)
    line.failed(B, 1.0)
    assert line.pick(1.0) is A


def test_one_that_is_broken_is_never_picked_again():
    line = lineup(A, B)
    line.failed(A, 0.0, permanent=True)
    line.worked(B, 0.1)
    assert line.prefers(B, 10 * REST_SECONDS) is B
    line.failed(B, 10 * REST_SECONDS)
    assert line.pick(10 * REST_SECONDS) is None


def test_all_are_tried_again_after_pauses_that_grow_within_the_patience():
    line = lineup(A, patience=2.0)
    now, pauses = 0.0, list[float]()
    while True:
        line.failed(A, now)
        assert line.pick(now) is None
        pause = line.pause(now)
        if pause is None:
            break
        pauses.append(pause)
        now += pause
        assert line.pick(now) is A
    assert pauses == list(PAUSES[:3])


def test_what_will_never_work_is_used_up_at_once():
    line = lineup(A, B)
    line.failed(A, 0.0, permanent=True)
    line.failed(B, 0.0, permanent=True)
    assert line.pause(0.0) is None


def test_new_work_has_all_its_tries():
    line = lineup(A, patience=1.0)
    line.failed(A, 0.0)
    line.give_up()
    line.failed(A, 5.0)
    assert line.pause(5.0) == PAUSES[0]


def test_circuits_are_told_of_failures_but_not_of_work_that_nobody_could_do():
    circuits = OwnCircuits()
    line = lineup(A, B, circuits=circuits)
    for _ in range(OPENING_FAILURES):
        line.failed(A, 0.0, at_fault=False)
        line.give_up()
    assert line.pick(0.0) is A
    for _ in range(OPENING_FAILURES):
        line.failed(A, 0.0)
        line.give_up()
    assert not circuits.allows(A.key, 0.0)


def test_one_that_could_not_do_what_another_did_was_at_fault():
    line = lineup(A, B)
    line.failed(A, 0.0, at_fault=False)
    assert line.prefers(B, 0.0) is B
    line.worked(B, 0.1)
    assert line.prefers(B, 1.0) is B


@pytest.mark.parametrize(("current", "other"), [(A, B), (B, A)])
def test_a_second_opinion_comes_from_another(current, other):
    assert lineup(A, B).other(current, 0.0) is other


def test_the_only_one_has_no_other():
    assert lineup(A).other(A, 0.0) is None
    assert not lineup(A).has_other(A)


def test_one_that_has_tried_is_no_other_until_all_try_again():
    line = lineup(A, B)
    assert line.has_other(A)
    line.failed(B, 0.0)
    assert not line.has_other(A)
    assert line.again()
    assert line.has_other(A)


def test_asking_whether_there_is_another_takes_no_trial_of_its_circuit():
    circuits = OwnCircuits()
    for _ in range(OPENING_FAILURES):
        circuits.failed(B.key, 0.0)
    assert lineup(A, B, circuits=circuits).has_other(A)
    assert circuits.allows(B.key, OPEN_SECONDS)


def test_those_that_will_never_work_do_not_try_again():
    line = lineup(A)
    line.failed(A, 0.0, permanent=True)
    assert not line.again()
