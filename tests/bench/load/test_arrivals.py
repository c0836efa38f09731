"""When callers come."""

import itertools
import random

import pytest

from bench.load.arrivals import burst, poisson, ramp


def test_a_burst_comes_at_one_instant():
    assert burst(3) == [0.0, 0.0, 0.0]


def test_the_same_seed_gives_the_same_callers_and_another_gives_others():
    assert poisson(6, 5, random.Random(1)) == poisson(6, 5, random.Random(1))
    assert poisson(6, 5, random.Random(1)) != poisson(6, 5, random.Random(2))


def test_independent_callers_come_at_their_rate_in_order_and_in_time():
    found = poisson(6, 1000, random.Random(7))
    assert len(found) == pytest.approx(6000, rel=0.05)
    assert found == sorted(found)
    assert found[0] >= 0
    assert found[-1] < 60_000


def test_independent_callers_are_irregular():
    gaps = [b - a for a, b in itertools.pairwise(poisson(6, 1000, random.Random(7)))]
    soon = sum(gap < 1.0 for gap in gaps) / len(gaps)
    assert soon == pytest.approx(0.095, abs=0.02)  # 1 - exp(-1/10): evenly spaced ones would never be


def test_a_ramp_brings_three_times_as_many_in_its_second_half():
    found = ramp(100, 10)
    assert len(found) == 100
    assert found == sorted(found)
    assert (found[0], found[-1] < 600) == (0.0, True)
    assert sum(at >= 300 for at in found) == 75
