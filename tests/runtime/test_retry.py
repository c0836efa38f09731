"""A question to the store is repeated while it does not answer, and only for so long."""

from __future__ import annotations

import pytest

from runtime.retry import retry
from session.errors import Stale, StoreUnavailable

pytestmark = pytest.mark.anyio


class Busy:
    """A store that answers at the n-th try only."""

    def __init__(self, fails: int, error: type[Exception] = StoreUnavailable) -> None:
        self.fails, self.error, self.asked = fails, error, 0

    async def ask(self) -> str:
        self.asked += 1
        if self.asked <= self.fails:
            raise self.error
        return "yes"


async def test_an_answer_that_comes_late_is_taken():
    store = Busy(2)
    assert await retry(store.ask, 5.0, on=StoreUnavailable) == "yes"
    assert store.asked == 3


async def test_a_store_that_stays_away_is_given_up():
    store = Busy(99)
    with pytest.raises(StoreUnavailable):
        await retry(store.ask, 0.25, on=StoreUnavailable)
    assert 2 <= store.asked <= 4


async def test_a_refusal_is_not_asked_again():
    store = Busy(1, Stale)
    with pytest.raises(Stale):
        await retry(store.ask, 5.0, on=StoreUnavailable)
    assert store.asked == 1
