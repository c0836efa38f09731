"""The copy of how the system is: at most a second old, and made once for all who ask at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from dispatcher.errors import LiveKitUnavailable
from dispatcher.observe.copy import COPY_SECONDS, Copy
from session.errors import StoreUnavailable
from session.record import State
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.session.making import NOON, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


class Rooms(FakeRooms):
    """Counts how often it is asked; away while `error` is set."""

    pings = 0
    error: Exception | None = None

    async def ping(self, *, timeout: float) -> None:
        self.pings += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error


class AwayStore(MemoryStore):
    """Cannot be reached."""

    async def counts(self) -> Mapping[State, int]:
        raise StoreUnavailable


class Scene:
    def __init__(self) -> None:
        self.clock, self.rooms = Clock(NOON), Rooms()
        self.store = MemoryStore(self.clock)
        self.copy = Copy(self.store, self.rooms, clock=self.clock)


async def test_a_hundred_who_ask_in_a_second_cost_one_question() -> None:
    scene = Scene()
    looks = await asyncio.gather(*(scene.copy.look() for _ in range(100)))
    assert scene.rooms.pings == 1
    assert all(look is looks[0] for look in looks)
    scene.clock.seconds += COPY_SECONDS
    await scene.copy.look()
    assert scene.rooms.pings == 2


async def test_a_copy_is_no_older_than_it_may_be() -> None:
    scene = Scene()
    assert (await scene.copy.look()).facts.workers == []
    await scene.store.beat(a_worker())
    scene.clock.seconds += COPY_SECONDS - 0.01
    assert (await scene.copy.look()).facts.workers == []
    scene.clock.seconds += 0.01
    assert [each.id for each in (await scene.copy.look()).facts.workers] == ["worker_a"]


async def test_a_clock_that_is_put_back_holds_nothing_up() -> None:
    scene = Scene()
    await scene.copy.look()
    scene.clock.seconds -= 3600
    await scene.copy.look()
    assert scene.rooms.pings == 2


async def test_what_is_away_is_said() -> None:
    scene = Scene()
    scene.rooms.error = LiveKitUnavailable()
    look = await scene.copy.look()
    assert look.facts is not None
    assert isinstance(look.away, LiveKitUnavailable)


async def test_the_store_is_named_first() -> None:
    rooms = Rooms()
    rooms.error = LiveKitUnavailable()
    look = await Copy(AwayStore(lambda: NOON), rooms).look()
    assert look.facts is None
    assert isinstance(look.away, StoreUnavailable)


async def test_a_fault_of_our_own_is_not_kept() -> None:
    scene = Scene()
    scene.rooms.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await scene.copy.look()
    scene.rooms.error = None
    assert (await scene.copy.look()).away is None
