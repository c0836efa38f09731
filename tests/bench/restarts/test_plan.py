"""When sessions are started and the worker is restarted."""

import random
import signal

import pytest

from bench.restarts.plan import cycles


@pytest.mark.parametrize("starts", [1, 2, 10, 20, 21, 500])
def test_as_many_are_started_as_asked_for_half_of_them_around_restarts(starts):
    planned = cycles(starts, random.Random(1))
    quiet, around = (sum(len(getattr(cycle, which)) for cycle in planned) for which in ("quiet", "around"))
    assert quiet + around == starts
    assert 0 <= around - quiet <= 1


def test_the_worker_is_asked_and_killed_in_turns():
    assert [cycle.kind for cycle in cycles(60, random.Random(1))] == [signal.SIGTERM, signal.SIGKILL, signal.SIGTERM]


def test_starts_come_before_the_signal_after_it_and_while_the_worker_comes_back():
    for cycle in cycles(500, random.Random(1)):
        offsets = [start.offset for start in cycle.around]
        assert offsets == sorted(offsets)
        assert all(-1 <= offset <= 9 for offset in offsets)
        assert sum(offset <= 1 for offset in offsets) == 5
    assert any(start.offset < 0 for cycle in cycles(500, random.Random(1)) for start in cycle.around)


def test_the_quiet_is_long_enough_that_the_next_death_is_no_crash_loop():
    for cycle in cycles(500, random.Random(1)):
        assert cycle.quiet[-1].offset > 18


def test_the_same_seed_plans_the_same():
    assert cycles(40, random.Random(5)) == cycles(40, random.Random(5))
    assert cycles(40, random.Random(5)) != cycles(40, random.Random(6))
