"""A conversation is kept as it goes, through outages, and taken up again; one that cannot be read is set aside."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pipeline.resume.checkpoint import Checkpoint
from pipeline.resume.restore import Restored
from session.errors import StoreUnavailable
from session.record import State, dispatched
from session.store.ports import Utterance, update
from tests.pipeline.stage import until
from tests.session.making import NOON, a_session
from tests.session.memory_store import MemoryStore
from worker.call.checkpoints import BEFORE_LLM_SECONDS, SHOWN_SECONDS, Checkpoints, handed_over, recall, unwritten

pytestmark = pytest.mark.anyio


class Store(MemoryStore):
    """Counts what it is asked to keep. While it is `away` it says so; while it `hangs` it does not answer."""

    def __init__(self) -> None:
        super().__init__(lambda: NOON)
        self.asked = 0
        self.away = self.hangs = False

    async def keep_checkpoint(self, session_id: str, text: str, *, attempt: int, job: str) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise StoreUnavailable
        await super().keep_checkpoint(session_id, text, attempt=attempt, job=job)

    async def checkpoint(self, session_id: str) -> str | None:
        if self.away:
            raise StoreUnavailable
        return await super().checkpoint(session_id)

    async def replace_the_agent(self) -> None:
        await update(self, "session_a", lambda session, now: dispatched(session, now, deadline=now))


def words(text: str) -> Checkpoint:
    return Checkpoint(messages=({"role": "user", "content": text},))


class Scene:
    """A conversation's memory; `now` is what it would remember at this moment."""

    def __init__(self, store: Store) -> None:
        self.store, self.now, self.stale = store, words("Hello."), 0
        self.memory = Checkpoints(store, a_session(job="job_a"), "job_a", self._supersede)

    def changes(self, text: str) -> None:
        self.now = words(text)
        self.memory.changed()

    def kept(self) -> Checkpoint | None:
        text = self.store._checkpoints.get("session_a")
        return None if text is None else Checkpoint.from_json(text)

    def _supersede(self) -> None:
        self.stale += 1


@pytest.fixture
async def scene() -> Scene:
    store = Store()
    await store.start(a_session(state=State.READY, job="job_a"), max_seats=5, op="start")
    return Scene(store)


@asynccontextmanager
async def running(scene: Scene) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(scene.memory.run(lambda: scene.now))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def keeps(scene: Scene, text: str) -> bool:
    return bool(scene.kept() == words(text))


async def test_what_changed_is_kept(scene: Scene) -> None:
    async with running(scene):
        for text in ("I am Ada.", "Who am I?"):
            scene.changes(text)
            await until(functools.partial(keeps, scene, text), "it is kept")
        assert scene.store.asked == 2


async def test_through_an_outage_only_the_newest_is_kept(scene: Scene) -> None:
    async with running(scene):
        scene.store.away = True
        scene.changes("I am Ada.")
        await until(lambda: scene.store.asked, "it is tried")
        scene.changes("Who am I?")
        scene.store.away = False
        await until(lambda: scene.kept() == words("Who am I?"), "it is kept")
        assert scene.store.asked == 2


async def test_an_agent_that_was_replaced_learns_so_and_keeps_nothing_more(scene: Scene) -> None:
    async with running(scene) as task:
        await scene.store.replace_the_agent()
        scene.changes("I am Ada.")
        await until(task.done, "it ends")
        assert (scene.kept(), scene.stale) == (None, 1)


@pytest.mark.parametrize("for_tool", [False, True])
async def test_what_is_to_be_kept_first_is_kept_when_it_returns(scene: Scene, for_tool: bool) -> None:
    await scene.memory.keep_first(words("I am Ada."), for_tool=for_tool)
    assert scene.kept() == words("I am Ada.")


@pytest.mark.parametrize("for_tool", [False, True])
async def test_a_store_that_is_away_stops_no_conversation_and_learns_it_later(
    scene: Scene, for_tool: bool, caplog: pytest.LogCaptureFixture
) -> None:
    scene.store.away = True
    with caplog.at_level(logging.WARNING):
        await scene.memory.keep_first(words("I am Ada."), for_tool=for_tool)
    assert bool(caplog.records) is for_tool  # a tool that may run twice is worth a line
    scene.store.away = False
    scene.now = words("I am Ada.")
    async with running(scene):
        await until(lambda: scene.kept() == words("I am Ada."), "it is kept")


async def test_a_store_that_hangs_holds_the_answer_up_once_and_only_for_a_moment(scene: Scene) -> None:
    scene.store.hangs = True
    took = []
    for _ in range(4):
        before = time.monotonic()
        await scene.memory.keep_first(words("I am Ada."), for_tool=False)
        took.append(time.monotonic() - before)
    assert took[0] >= BEFORE_LLM_SECONDS
    assert min(took[1:]) < BEFORE_LLM_SECONDS / 2


async def test_after_an_outage_the_answer_waits_for_the_store_again(scene: Scene) -> None:
    scene.store.away = True
    await scene.memory.keep_first(words("I am Ada."), for_tool=False)
    scene.store.away = False
    async with running(scene):
        await until(lambda: scene.kept() is not None, "the outage is over")
    await scene.memory.keep_first(words("Who am I?"), for_tool=False)
    assert scene.kept() == words("Who am I?")


async def test_an_agent_that_was_replaced_runs_no_tool(scene: Scene) -> None:
    await scene.store.replace_the_agent()
    keeping = asyncio.create_task(scene.memory.keep_first(words("I am Ada."), for_tool=True))
    await until(lambda: scene.stale, "it learns so")
    await asyncio.wait({keeping}, timeout=0)
    assert not keeping.done()
    keeping.cancel()


async def test_the_next_agent_recalls_what_was_kept(scene: Scene) -> None:
    await scene.memory.keep_first(words("I am Ada."), for_tool=False)
    before = await recall(scene.store, a_session(), ())
    assert before is not None
    assert [message["content"] for message in before.messages] == ["I am Ada."]
    assert before.unanswered


async def test_where_nothing_was_kept_there_is_nothing_to_recall(scene: Scene) -> None:
    assert await recall(scene.store, a_session(), ()) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"v": 99}', '{"v": 1, "messages": [{"role": "nobody"}]}'])
async def test_what_cannot_be_read_is_set_aside_and_the_conversation_begins_anew(scene: Scene, text: str) -> None:
    await scene.store.keep_checkpoint("session_a", text, attempt=1, job="job_a")
    assert await recall(scene.store, a_session(), ()) is None
    assert scene.store.spoiled == {"session_a": text}
    assert await scene.store.checkpoint("session_a") is None


async def test_what_changed_is_kept_once_it_is_settled(scene: Scene) -> None:
    async with running(scene):
        await scene.memory.settled()  # nothing has changed
        for text in ("I am Ada.", "Who am I?"):
            scene.changes(text)
            await scene.memory.settled()
            assert scene.kept() == words(text)


async def test_a_store_that_is_away_holds_up_no_words(scene: Scene) -> None:
    async with running(scene):
        scene.store.away = True
        scene.changes("I am Ada.")
        await until(lambda: scene.store.asked, "it is tried")
        for text in ("I am Ada.", "Who am I?"):
            scene.changes(text)
            before = time.monotonic()
            await scene.memory.settled()
            assert time.monotonic() - before < SHOWN_SECONDS / 2
        scene.store.away = False
        await until(lambda: scene.kept() == words("Who am I?"), "it is kept")
        scene.changes("Goodbye.")
        await scene.memory.settled()
        assert scene.kept() == words("Goodbye.")


async def test_a_store_that_hangs_holds_words_up_only_for_a_moment(scene: Scene) -> None:
    async with running(scene):
        scene.store.hangs = True
        scene.changes("I am Ada.")
        async with asyncio.timeout(SHOWN_SECONDS * 10):
            await scene.memory.settled()
        assert scene.kept() is None


@pytest.mark.parametrize(
    ("asked", "heard", "said", "missing"),
    [
        ("", "", [], []),
        ("", "You are", [], [("agent", "You are")]),
        ("", "You are", [("agent", "You are")], []),
        ("", "You are", [("agent", "Good day.")], [("agent", "You are")]),
        ("", "You are", [("agent", "You are"), ("user", "Stop.")], [("agent", "You are")]),
        ("", "You are", [("user", "You are")], [("agent", "You are")]),
        ("Who am I?", "", [("agent", "Good day.")], [("user", "Who am I?")]),
        ("Who am I?", "", [("user", "Who am I?")], []),
        ("Who am I?", "", [("user", "Who am I?"), ("agent", "Sorry.")], []),  # this recovery is not the first
        ("Who am I?", "", [("user", "I am Ada.")], [("user", "Who am I?")]),
        ("Who am I?", "You are", [], [("user", "Who am I?"), ("agent", "You are")]),
        ("Who am I?", "You are", [("user", "Who am I?"), ("agent", "You are")], []),
    ],
)
def test_what_was_said_and_not_written_down_is_written_down_once(
    asked: str, heard: str, said: list[tuple[str, str]], missing: list[tuple[str, str]]
) -> None:
    transcript = [Utterance(speaker=speaker, text=text, at=NOON) for speaker, text in said]
    found = unwritten(Restored(asked=asked, heard=heard), transcript, NOON)
    assert [(each.speaker, each.text) for each in found] == missing
    assert all(each.interrupted is (each.speaker == "agent") for each in found)


@pytest.mark.parametrize(("tried", "kept"), [(0, 0), (1, 0), (2, 1)])
def test_an_agent_that_is_stopped_on_purpose_does_not_count_against_the_words(tried: int, kept: int) -> None:
    assert handed_over(Checkpoint(tried=tried)).tried == kept
