"""Medians, percentiles and verdicts."""

import pytest

from bench.report.stats import Figure, Target, percentile, summary


def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed():
    values = [float(n) for n in range(1, 101)]
    assert percentile(values, "p50") == 50.5
    assert percentile(values, "p95") == 95.0
    assert percentile(values, "p99") == 99.0
    assert percentile([3.0, 1.0, 2.0], "p95") == 3.0
    assert percentile([7.0], "p99") == 7.0


def figure(ours, theirs=(), **wanted):
    return Figure("f", "s", ours=list(ours), theirs=list(theirs), **wanted)


@pytest.mark.parametrize(
    ("made", "met"),
    [
        (figure([1.0, 2.0, 9.0], targets=[Target(2.0)]), True),
        (figure([1.0, 2.0, 9.0], targets=[Target(2.0), Target(8.0, "p95")]), False),
        (figure([1.0], [10.0], targets=[Target(1.0)], times_better=10), True),
        (figure([1.0], [9.0], targets=[Target(1.0)], times_better=10), False),
        (figure([2.0], [9.0], targets=[Target(1.0)], times_better=10), False),
        (figure([1.0], targets=[Target(1.0)], times_better=10), None),
        (figure([], targets=[Target(1.0)]), None),
        (figure([1.0]), None),
    ],
    ids=[
        "the median counts, not the worst",
        "the 95th percentile counts where it is asked for",
        "ten times better and fast enough",
        "not ten times better",
        "ten times better would not help what is too slow",
        "nothing to be better than",
        "nothing measured",
        "nothing asked for",
    ],
)
def test_a_verdict_needs_every_target(made, met):
    assert made.met is met


def test_the_ratio_is_of_medians():
    assert figure([1.0, 2.0, 100.0], [20.0, 30.0, 0.1]).ratio == 10.0
    assert figure([0.0], [1.0]).ratio is None
    assert figure([1.0]).ratio is None


def test_a_summary_has_the_spread():
    assert summary([2.0, 1.0, 4.0]) == {"count": 3, "min": 1.0, "max": 4.0, "p50": 2.0, "p95": 4.0, "p99": 4.0}
    assert summary([]) == {"count": 0}
