"""How long a room had more than one agent."""

import pytest

from bench.harness.overlap import Seen


def looked(*looks):
    seen = Seen()
    for now, there in looks:
        seen.look(there, now)
    return seen


def test_one_agent_after_another_is_never_two():
    seen = looked((0, ["a"]), (5, []), (6, ["b"]), (60, ["b"]))
    assert (seen.identities, seen.overlap, seen.doubled) == (["a", "b"], 0.0, False)


def test_two_at_one_time_are_timed_until_one_of_them_is_gone():
    seen = looked((0, ["a"]), (5, ["a", "b"]), (5.4, ["a", "b"]), (6.5, ["b"]), (60, ["b"]))
    assert seen.overlap == pytest.approx(1.5)
    assert seen.doubled


def test_a_recovery_that_still_sees_the_old_agent_leaving_is_not_doubled():
    assert not looked((0, ["a"]), (5, ["a", "b"]), (5.8, ["b"])).doubled


def test_the_longest_overlap_counts():
    seen = looked((0, ["a", "b"]), (3, ["b"]), (4, ["b", "c"]), (5, ["c"]))
    assert seen.overlap == 3.0


def test_two_who_stay_to_the_end_are_seen():
    assert looked((0, ["a", "b"]), (2, [])).doubled
