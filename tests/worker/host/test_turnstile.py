"""A few at a time, in the order of their coming, and nobody is held up by one that died or hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.pipeline.stage import until
from worker.host import turnstile
from worker.host.turnstile import TurnstilePass

pytestmark = pytest.mark.anyio


class Starts:
    """Starts at one turnstile, and those of them that are through so far, in order."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.through: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.passages: dict[str, TurnstilePass] = {}

    def come(self, name: str) -> None:
        self.passages[name] = TurnstilePass(self.path)
        self.tasks[name] = asyncio.create_task(self._pass(name))

    async def _pass(self, name: str) -> None:
        await self.passages[name].wait()
        self.through.append(name)

    async def go(self) -> None:
        for name, task in self.tasks.items():
            task.cancel()
            self.passages[name].over()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    async def has_let_through(self, *names: str) -> None:
        await until(lambda: len(self.through) >= len(names), f"{names} are through")
        await asyncio.sleep(0.02)  # nobody else follows
        assert self.through == list(names)


@pytest.fixture
async def starts() -> AsyncIterator[Starts]:
    async with turnstile.keep(2) as path:
        found = Starts(path)
        yield found
        await found.go()


async def _queue(starts: Starts, names: str) -> None:
    for name in names:
        starts.come(name)
        await asyncio.sleep(0.02)  # they come one after the other


async def test_a_few_are_through_at_a_time_in_the_order_of_their_coming(starts: Starts) -> None:
    await _queue(starts, "abcde")
    await starts.has_let_through("a", "b")
    starts.passages["b"].over()
    await starts.has_let_through("a", "b", "c")
    starts.passages["c"].over()
    starts.passages["a"].over()
    await starts.has_let_through(*"abcde")


async def test_one_that_died_while_it_waited_takes_no_passage(starts: Starts) -> None:
    await _queue(starts, "abcd")
    starts.tasks["c"].cancel()
    starts.passages["c"].over()
    starts.passages["a"].over()
    await starts.has_let_through("a", "b", "d")


async def test_one_that_hangs_loses_its_passage() -> None:
    async with turnstile.keep(1, passage_seconds=0.1) as path:
        starts = Starts(path)
        await _queue(starts, "ab")
        await until(lambda: starts.through == ["a", "b"], "the second is through")
        await starts.go()


async def test_it_may_be_over_twice(starts: Starts) -> None:
    await _queue(starts, "abc")
    starts.passages["a"].over()
    starts.passages["a"].over()
    await starts.has_let_through("a", "b", "c")


@pytest.mark.parametrize("path", [None, "/nowhere/turnstile"])
async def test_without_a_turnstile_nobody_waits(path: str | None) -> None:
    async with asyncio.timeout(1):
        passage = TurnstilePass(path)
        await passage.wait()
    passage.over()


async def test_nobody_waits_for_ever() -> None:
    async with turnstile.keep(1) as path:
        first, second = TurnstilePass(path), TurnstilePass(path, wait_seconds=0.1)
        await first.wait()
        async with asyncio.timeout(1):
            await second.wait()
        first.over()
        second.over()


async def test_a_call_in_progress_does_not_stand_behind_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    async with turnstile.keep(1) as path:
        monkeypatch.setenv(turnstile.SOCKET, path)
        first, new, recovery = (turnstile.passage(recovery=each) for each in (False, False, True))
        await first.wait()
        waiting = asyncio.create_task(new.wait())
        async with asyncio.timeout(1):
            await recovery.wait()
        assert not waiting.done()
        for each in (first, new, recovery):
            each.over()
        await waiting
