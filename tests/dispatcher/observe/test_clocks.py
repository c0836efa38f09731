"""Which clocks are called wrong."""

import pytest

from dispatcher.observe.clocks import OFF_SECONDS, warnings
from tests.session.making import NOON, a_worker


@pytest.mark.parametrize("off", [0.0, OFF_SECONDS, -OFF_SECONDS])
def test_small_differences_are_not_worth_a_word(off: float) -> None:
    assert warnings(NOON + off, NOON, [a_worker(seen_at=NOON, clock=NOON + off)]) == []


@pytest.mark.parametrize(("off", "way"), [(61, "61 s ahead of"), (-61, "61 s behind")])
def test_each_clock_that_is_off_is_named(off: float, way: str) -> None:
    assert [each.partition(".")[0] for each in warnings(NOON + off, NOON, [])] == [
        f"The clock of this dispatcher is {way} the store's"
    ]
    found = warnings(NOON, NOON, [a_worker(seen_at=NOON, clock=NOON + off), a_worker("worker_b", seen_at=NOON)])
    assert [each.partition(".")[0] for each in found] == [f"The clock of worker worker_a is {way} the store's"]
