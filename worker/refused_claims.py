"""Counts the claims that are refused as stale or forged; the parent and the job processes call it."""

from __future__ import annotations

from contextlib import suppress

from session.errors import BadMetadata, SessionNotFound, Stale, StoreUnavailable
from session.store.ports import SessionStore

NOT_CURRENT = (Stale, BadMetadata, SessionNotFound)  # not: a store that is away, seats that are taken


async def count(store: SessionStore, why: BaseException) -> None:
    """Add a refused claim to the store's total, if it was the claim's own fault; a store that is away learns nothing.

    Args:
        store: where claims are counted.
        why: what was raised when the claim was tried.
    """
    if isinstance(why, NOT_CURRENT):
        with suppress(StoreUnavailable):
            await store.claim_refused()
