"""Whether something grows."""

import pytest

from bench.soak.flat import Allowed, judged, stayed


def test_what_stays_as_it_is_is_flat():
    assert judged([50.0] * 20, Allowed(1)).flat is True


def test_what_grows_by_more_than_it_may_is_not():
    found = judged([50.0 + n for n in range(50)], Allowed(10))
    assert (found.before, found.after, found.flat) == (64.5, 94.5, False)


def test_warming_up_in_the_first_fifth_does_not_count():
    assert judged([0.0] * 4 + [100.0] * 16, Allowed(1)).flat is True


def test_a_peak_is_no_growth():
    assert judged([50.0] * 18 + [500.0, 50.0], Allowed(1)).flat is True


def test_what_shrinks_is_flat():
    assert judged([100.0 - n for n in range(20)], Allowed(0)).flat is True


@pytest.mark.parametrize(("end", "flat"), [(109.0, True), (111.0, False)])
def test_something_large_may_grow_by_a_share_of_itself(end, flat):
    assert judged([100.0] * 10 + [end] * 10, Allowed(1, share=0.1)).flat is flat


def test_times_at_which_there_was_nothing_are_left_out():
    found = judged([None, *([10.0] * 10), None, *([30.0] * 10)], Allowed(1))
    assert (found.before, found.after, found.flat) == (10.0, 30.0, False)


@pytest.mark.parametrize("values", [[], [1.0] * 9, [None] * 30])
def test_of_too_few_samples_nobody_can_say(values):
    assert judged(values, Allowed(1)).flat is None


def test_a_process_that_has_just_died_is_not_one_that_stays_unburied():
    assert stayed([[1], [2], [1], []]) == set()
    assert stayed([[], [7, 8], [8], []]) == {8}
