import logging

import pytest

from dispatcher.observe.session_log import log_event
from session.errors import StoreUnavailable
from tests.dispatcher.fakes import Clock
from tests.session.making import NOON, a_session, admit
from tests.session.memory_store import MemoryStore


class LostStore(MemoryStore):
    """Its log does not answer."""

    async def log(self, session_id: str, event: str, *, level: str = "info", **facts: object) -> None:
        raise StoreUnavailable


@pytest.mark.anyio
async def test_a_note_is_told_in_the_log_and_kept_with_its_session(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(Clock(NOON))
    await admit(store, a_session())
    with caplog.at_level(logging.DEBUG, "dispatcher"):
        await log_event(store, "session_a", "ended", reason="idle", attempt=2)
    assert caplog.record_tuples == [
        ("dispatcher", logging.INFO, "session=session_a event=ended reason=idle attempt=2"),
    ]
    assert list(await store.logs("session_a", limit=10)) == [
        {"at": NOON, "level": "info", "event": "ended", "reason": "idle", "attempt": 2},
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("level", "number"), [("info", logging.INFO), ("warning", logging.WARNING), ("error", logging.ERROR)]
)
async def test_a_note_has_the_same_level_in_both_places(
    caplog: pytest.LogCaptureFixture, level: str, number: int
) -> None:
    store = MemoryStore(Clock(NOON))
    await admit(store, a_session())
    with caplog.at_level(logging.DEBUG, "dispatcher"):
        await log_event(store, "session_a", "ended", level=level)
    assert [record.levelno for record in caplog.records] == [number]
    assert [line["level"] for line in await store.logs("session_a", limit=10)] == [level]


@pytest.mark.anyio
async def test_a_store_that_is_away_costs_the_sessions_entry_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dispatcher"):
        await log_event(LostStore(Clock(NOON)), "session_a", "ended")
    assert [record.getMessage() for record in caplog.records] == ["session=session_a event=ended"]
