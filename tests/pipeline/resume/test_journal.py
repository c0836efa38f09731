"""The journal knows each tool call from before it runs until the context has its result."""

from __future__ import annotations

import pytest

from pipeline.resume.checkpoint import Entry
from pipeline.resume.journal import Journal

pytestmark = pytest.mark.anyio


class Watch:
    """Counts changes, and looks into the journal when a tool that must not run twice is about to."""

    def __init__(self) -> None:
        self.changes = 0
        self.before: list[tuple[Entry, ...]] = []
        self.journal = Journal(self.changed, self.look)

    def changed(self) -> None:
        self.changes += 1

    async def look(self) -> None:
        self.before.append(self.journal.open())


RUNNING = Entry(tool_call_id="a", name="book", arguments={"n": 1})


async def test_a_call_is_written_down_before_its_tool_runs() -> None:
    watch = Watch()
    await watch.journal.begin("a", "book", {"n": 1}, repeatable=False)
    assert watch.before == [(RUNNING,)]
    assert watch.changes == 1


async def test_a_repeatable_tool_waits_for_nobody() -> None:
    watch = Watch()
    await watch.journal.begin("a", "book", {"n": 1}, repeatable=True)
    assert watch.before == []
    assert watch.journal.open() == (RUNNING,)


async def test_a_call_that_ended_keeps_its_result_until_the_context_has_it() -> None:
    watch = Watch()
    await watch.journal.begin("a", "book", {"n": 1}, repeatable=False)
    await watch.journal.begin("b", "book", {}, repeatable=False)
    watch.journal.end("a", "table 7")
    assert [(entry.tool_call_id, entry.done, entry.result) for entry in watch.journal.open()] == [
        ("a", True, "table 7"),
        ("b", False, None),
    ]
    assert watch.changes == 3
    watch.journal.settle({"a", "of another day"})
    assert [entry.tool_call_id for entry in watch.journal.open()] == ["b"]


async def test_a_tool_that_was_stopped_may_have_done_its_work_until_the_caller_goes_on() -> None:
    watch = Watch()
    await watch.journal.begin("a", "book", {"n": 1}, repeatable=False)
    await watch.journal.begin("b", "book", {}, repeatable=False)
    watch.journal.cancelled("a")
    assert watch.journal.open()[0] == RUNNING
    watch.journal.caller_spoke()
    assert [entry.tool_call_id for entry in watch.journal.open()] == ["b"]


async def test_a_journal_that_nobody_watches_works() -> None:
    journal = Journal()
    await journal.begin("a", "book", {"n": 1}, repeatable=False)
    journal.end("a", 1)
    assert journal.open()[0].done


async def test_a_tool_runs_until_it_has_ended_or_was_stopped() -> None:
    journal = Journal()
    assert not journal.running()
    for call in ("call_1", "call_2"):
        await journal.begin(call, "book", {}, repeatable=True)
    journal.end("call_1", "done")
    assert journal.running()
    journal.cancelled("call_2")
    assert not journal.running()
