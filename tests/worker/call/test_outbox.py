"""Writes stay in order through an outage of the store, and what cannot be written does not hold up the rest."""

from __future__ import annotations

import logging
import time

import pytest

from session.errors import Conflict, SessionError, SessionNotFound, Stale, StoreUnavailable
from tests.session.making import eventually
from worker.call.outbox import KEPT, Outbox, Write

pytestmark = pytest.mark.anyio


class Ledger:
    """A store that fails as told: the errors are raised one a try, then everything is written down."""

    def __init__(self, *errors: SessionError) -> None:
        self.errors = list(errors)
        self.tries = 0
        self.written: list[str] = []
        self.stale = 0

    def write(self, what: str) -> Write:
        async def run() -> None:
            self.tries += 1
            if self.errors:
                raise self.errors.pop(0)
            self.written.append(what)

        return run

    def superseded(self) -> None:
        self.stale += 1


class DeadStore(Ledger):
    """A store that never answers."""

    def write(self, what: str) -> Write:
        async def run() -> None:
            self.tries += 1
            raise StoreUnavailable

        return run


def recorder(ledger: Ledger, *what: str) -> Outbox:
    made = Outbox("session_a", ledger.superseded)
    for each in what:
        made.record(ledger.write(each))
    return made


async def test_facts_are_written_in_order() -> None:
    ledger = Ledger()
    await recorder(ledger, "ready", "joined", "said").flush(5)
    assert ledger.written == ["ready", "joined", "said"]


async def test_facts_stay_in_order_through_a_store_that_is_away() -> None:
    ledger = Ledger(StoreUnavailable(), StoreUnavailable())
    await recorder(ledger, "ready", "joined", "said").flush(5)
    assert ledger.written == ["ready", "joined", "said"]
    assert ledger.tries == 5


@pytest.mark.parametrize("error", [SessionNotFound(), Conflict()])
async def test_what_is_refused_is_dropped_and_the_rest_is_written(error: SessionError) -> None:
    ledger = Ledger(error)
    await recorder(ledger, "ready", "joined").flush(5)
    assert ledger.written == ["joined"]
    assert ledger.stale == 0


async def test_a_stale_write_tells_that_another_agent_has_taken_over() -> None:
    ledger = Ledger(Stale())
    await recorder(ledger, "ready").flush(5)
    assert ledger.written == []
    assert (ledger.tries, ledger.stale) == (1, 1)


async def test_a_flush_does_not_wait_for_a_store_that_stays_away() -> None:
    ledger = DeadStore()
    before = time.monotonic()
    await recorder(ledger, "ready").flush(0.2)
    assert time.monotonic() - before < 2
    assert ledger.tries == 1


async def test_after_a_flush_nothing_more_is_written() -> None:
    ledger = Ledger()
    made = recorder(ledger, "ready")
    await made.flush(5)
    made.record(ledger.write("late"))
    await made.flush(0.1)
    assert ledger.written == ["ready"]


async def test_facts_too_many_are_dropped_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    ledger = DeadStore()
    made = recorder(ledger, "ready")
    await eventually(lambda: _true(ledger.tries == 1))
    with caplog.at_level(logging.WARNING):
        for _ in range(KEPT):
            made.record(ledger.write("said"))
        assert caplog.records == []
        for _ in range(5000):
            made.record(ledger.write("too many"))
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"session=session_a event=record_dropped count=1 kept={KEPT}"
    await made.flush(0)


async def test_a_flood_never_costs_the_end() -> None:
    ledger = Ledger()
    made = recorder(ledger, *["said"] * (KEPT * 3))
    made.record(ledger.write("the end"), essential=True)
    await made.flush(10)
    assert ledger.written == ["said"] * KEPT + ["the end"]


async def _true(holds: bool) -> bool:
    return holds
