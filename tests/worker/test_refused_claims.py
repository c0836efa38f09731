"""Only a claim that is stale or forged counts as refused."""

from __future__ import annotations

import pytest

from session.errors import BadMetadata, NoCapacity, SessionNotFound, Stale, StoreUnavailable
from tests.session.making import NOON
from tests.session.memory_store import MemoryStore
from worker import refused_claims as refusals

pytestmark = pytest.mark.anyio


class AwayStore(MemoryStore):
    async def claim_refused(self) -> None:
        raise StoreUnavailable


@pytest.mark.parametrize(
    ("why", "counted"),
    [
        (Stale(), 1),
        (BadMetadata(), 1),
        (SessionNotFound(), 1),
        (NoCapacity(), 0),
        (StoreUnavailable(), 0),
        (TimeoutError(), 0),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_claim_is_counted_when_it_was_its_own_fault(why: Exception, counted: int) -> None:
    store = MemoryStore(lambda: NOON)
    await refusals.count(store, why)
    assert (await store.stats()).refused_claims == counted


async def test_a_store_that_is_away_holds_nothing_up() -> None:
    await refusals.count(AwayStore(lambda: NOON), Stale())
