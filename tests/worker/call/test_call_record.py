"""What a call writes down carries its agent's attempt and job, and shows when another agent has the call."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.background import Failure, Finished
from session.errors import Stale
from session.record import CallerPresence, EndReason, ErrorReason, State, dispatched
from session.store.ports import update
from tests.session.making import NOON, a_session
from tests.session.memory_store import MemoryStore
from worker.call.call_record import CallRecord

pytestmark = pytest.mark.anyio


class Kept:
    """A claimed session, its record, and how often its agent heard that it was replaced."""

    def __init__(self, store: Any) -> None:
        self.store, self.stale = store, 0
        self.record = CallRecord(store, a_session(job="job_a"), "job_a", self.replaced)

    def replaced(self) -> None:
        self.stale += 1


@pytest.fixture
async def kept() -> Kept:
    store = MemoryStore(lambda: NOON)
    await store.start(a_session(job="job_a"), max_seats=5, op="start")
    return Kept(store)


async def test_what_a_call_is_told_stands_in_the_store_in_its_order(kept: Kept) -> None:
    kept.record.ready({"ready": 420.0})
    kept.record.caller(CallerPresence.PRESENT)
    kept.record.say("user", "Hello.")
    kept.record.say("agent", "Good", interrupted=True)
    kept.record.end(EndReason.FINISHED)
    await kept.record.flush(5)
    session = await kept.store.get("session_a")
    assert (session.state, session.end_reason, session.ready_at) == (State.ENDED, EndReason.FINISHED, NOON)
    assert (session.caller, session.steps["ready"]) == (CallerPresence.PRESENT, 420.0)
    said = [(each.speaker, each.text, each.interrupted) for each in (await kept.store.transcript("session_a")).items]
    assert said == [("user", "Hello.", False), ("agent", "Good", True)]
    assert kept.stale == 0


async def test_a_call_without_an_end_goes_on_with_another_agent(kept: Kept) -> None:
    kept.record.ready({})
    kept.record.end(None)
    await kept.record.flush(5)
    assert (await kept.store.get("session_a")).state is State.RECOVERING


async def test_an_error_is_an_end_too(kept: Kept) -> None:
    kept.record.end(ErrorReason.AGENT_FAILED)
    await kept.record.flush(5)
    assert (await kept.store.get("session_a")).error is ErrorReason.AGENT_FAILED


async def test_a_failure_stands_in_the_sessions_log_with_its_place(kept: Kept) -> None:
    kept.record.failure(Failure("session_a", "greet", "ValueError at agents/pizza.py:12", ValueError("pin 4711")))
    await kept.record.flush(5)
    (line,) = await kept.store.logs("session_a", limit=10)
    assert (line["event"], line["level"], line["task"]) == ("task_failed", "error", "greet")
    assert line["error"] == "ValueError at agents/pizza.py:12"
    assert (await kept.store.stats()).task_failures == 1
    assert "4711" not in str(line)


async def test_whoever_was_replaced_hears_so_and_changes_nothing(kept: Kept) -> None:
    await update(kept.store, "session_a", lambda each, now: dispatched(each, now, deadline=now + 2))
    kept.record.caller(CallerPresence.PRESENT)
    await kept.record.flush(5)
    with pytest.raises(Finished):
        await kept.record.alive()
    with pytest.raises(Stale):
        await kept.record.abandon(None)
    assert kept.stale == 2
    assert (await kept.store.get("session_a")).caller is CallerPresence.ABSENT
