import pytest

from pipeline.fallback.candidates import OPEN_SECONDS, OPENING_FAILURES, WINDOW_SECONDS, Candidate, OwnCircuits, choose


def opened(key="llm/groq/1", now=0.0):
    circuits = OwnCircuits()
    for _ in range(OPENING_FAILURES):
        circuits.failed(key, now)
    return circuits


def candidate(name):
    return Candidate(name, f"llm/{name}/1", lambda: name)


def test_five_failures_within_a_minute_open_a_circuit():
    circuits = OwnCircuits()
    for at in range(OPENING_FAILURES - 1):
        circuits.failed("a", at)
        assert circuits.allows("a", at)
    circuits.failed("a", OPENING_FAILURES)
    assert not circuits.allows("a", OPENING_FAILURES)
    assert circuits.allows("b", OPENING_FAILURES)


def test_failures_that_are_spread_over_more_than_a_minute_do_not_open_it():
    circuits = OwnCircuits()
    for number in range(20):
        circuits.failed("a", number * WINDOW_SECONDS / (OPENING_FAILURES - 1))
    assert circuits.allows("a", 20 * WINDOW_SECONDS)


def test_one_use_is_tried_after_a_minute_and_success_closes():
    circuits = opened("a")
    assert not circuits.allows("a", OPEN_SECONDS - 0.1)
    assert [circuits.allows("a", OPEN_SECONDS) for _ in range(3)] == [True, False, False]
    circuits.worked("a", OPEN_SECONDS + 1)
    assert [circuits.allows("a", OPEN_SECONDS + 1) for _ in range(3)] == [True, True, True]


def test_a_trial_that_fails_opens_the_circuit_anew():
    circuits = opened("a")
    assert circuits.allows("a", OPEN_SECONDS)
    circuits.failed("a", OPEN_SECONDS + 5)
    assert not circuits.allows("a", 2 * OPEN_SECONDS + 4)
    assert circuits.allows("a", 2 * OPEN_SECONDS + 5)


def test_a_trial_nobody_hears_of_again_makes_way_for_another():
    circuits = opened("a")
    assert circuits.allows("a", OPEN_SECONDS)
    assert not circuits.allows("a", 2 * OPEN_SECONDS - 1)
    assert circuits.allows("a", 2 * OPEN_SECONDS)


@pytest.mark.parametrize("report", ["failed", "worked"])
def test_uses_that_began_before_it_opened_change_nothing(report):
    circuits = opened("a")
    getattr(circuits, report)("a", 30.0)
    assert not circuits.allows("a", OPEN_SECONDS - 0.1)
    assert circuits.allows("a", OPEN_SECONDS)


def test_the_first_candidate_that_is_allowed_is_chosen():
    groq, openai = candidate("groq"), candidate("openai")
    assert choose([groq, openai], OwnCircuits(), 1.0) is groq
    assert choose([groq, openai], opened(groq.key), 1.0) is openai
    assert choose([groq, openai], OwnCircuits(), 1.0, left={groq.key}) is openai


def test_choosing_takes_no_trial_of_a_circuit_that_is_not_used():
    groq, openai = candidate("groq"), candidate("openai")
    circuits = opened(openai.key)
    assert choose([groq, openai], circuits, OPEN_SECONDS) is groq
    assert circuits.allows(openai.key, OPEN_SECONDS)


def test_open_circuits_are_the_last_resort_and_only_those_that_were_left_are_used_up():
    groq = candidate("groq")
    assert choose([groq], opened(groq.key), 1.0) is groq
    assert choose([groq], OwnCircuits(), 1.0, left={groq.key}) is None
