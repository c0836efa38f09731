from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from dispatcher.access.key_store import open_keys
from dispatcher.access.keys import Role, new_key
from session.record import EndReason, State, became_ready, claimed, ended
from session.store.orders import ORDER_SECONDS, Given, PoolSize, WorkerOrder
from session.store.ports import (
    CIRCUIT_FAILURES,
    CIRCUIT_KEPT_SECONDS,
    CIRCUIT_SECONDS,
    NOTE_SECONDS,
    OP_SECONDS,
    RESERVED_SECONDS,
    WORKER_SECONDS,
    StartReport,
    Utterance,
)
from session.store.redis import scripts
from session.store.redis.store import RedisStore, open_store
from tests.session.making import NOON, a_session, a_session_in, a_worker, admit

pytestmark = pytest.mark.anyio

KEEP = 600.0

SHAPES = {  # name: type, seconds to live of what the calls below leave (None: for ever)
    "SESSION": ("hash", KEEP),
    "TRANSCRIPT": ("list", KEEP),
    "LOG": ("list", KEEP),
    "USER": ("string", None),
    "OP": ("string", OP_SECONDS),
    "SEATS": ("set", None),
    "STATE": ("zset", None),
    "EXPIRING": ("zset", None),
    "OUTGOING": ("stream", None),
    "TOTALS": ("hash", None),
    "WORKER": ("string", WORKER_SECONDS),
    "WORKERS": ("zset", None),
    "ORDER": ("string", ORDER_SECONDS),
    "POOL": ("hash", None),
    "TARGETS": ("hash", None),
    "NOTE": ("string", NOTE_SECONDS),
    "SEEN": ("string", 60.0),
    "DUE": ("zset", None),
    "CALLS": ("zset", None),
    "EVENTS": ("stream", None),
    "WATCH": ("hash", None),
    "CHECKPOINT": ("string", KEEP),
    "SPOILED": ("string", KEEP),
    "CIRCUIT": ("zset", CIRCUIT_SECONDS),
    "OPEN_CIRCUITS": ("set", None),
    "OWNED": ("set", None),
    "API_KEYS": ("hash", None),
    "TOMB": ("string", RESERVED_SECONDS),
}


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url, decode_responses=True) as client:
        yield client


def is_of(begin: str, key: str) -> bool:
    return key.startswith(begin) and key != begin if begin.endswith(":") else key == begin


async def one_of_everything(store: RedisStore) -> None:
    over = await admit(store, a_session("session_a", owner="key_a", user_id="ann"))
    over = await store.write(claimed(over, attempt=1, job="job_a", worker="worker_a", now=NOON), op="a")
    over = await store.write(became_ready(over, attempt=1, job="job_a", now=NOON + 1, steps={}), op="b")
    await store.say("session_a", Utterance(speaker="user", text="hi", at=NOON), attempt=1, job="job_a")
    await store.log("session_a", "step")
    await store.keep_checkpoint("session_a", "?", attempt=1, job="job_a")
    await store.set_aside("session_a")
    await store.keep_checkpoint("session_a", "{}", attempt=1, job="job_a")
    await store.watch(gap=3, window=5)
    await store.write(ended(over, EndReason.STOPPED, NOON), op="c")
    await admit(store, a_session("session_b", owner="key_a", user_id="ann"))
    await admit(store, a_session_in(State.READY, session_id="session_c", deadline=NOON))
    await store.first_time("event", seconds=60)
    await store.order("worker_a", Given(order=WorkerOrder.CORDON, started_at=NOON))
    await store.order_pool_size(PoolSize(size=1, prewarm=3))
    await store.assign({"worker_a": 1})
    await store.keep_note("alerts", "text")
    await store.beat(a_worker())
    await store.report_circuit("default", StartReport.FAILED, session_id="session_a")
    for number in range(CIRCUIT_FAILURES):
        await store.report_circuit("open", StartReport.FAILED, session_id=str(number))


async def test_every_key_is_ours_and_has_the_type_and_life_that_are_written_beside_it(
    valkey_url: str, client: Redis
) -> None:
    assert set(SHAPES) == set(scripts.KEYS)
    await client.select(1)  # where no other test writes
    await client.flushdb()
    async with open_store(f"{valkey_url[:-1]}1", namespace="shapes", keep_seconds=KEEP) as store:
        await one_of_everything(store)
    async with open_keys(f"{valkey_url[:-1]}1", namespace="shapes") as keys:
        await keys.put(new_key(Role.CALLER, "shop")[0])
    found = set()
    for key in await client.keys("*"):
        assert key.startswith("greenroom:shapes:")
        rest = key.removeprefix("greenroom:shapes:")
        (name,) = [each for each, begin in scripts.KEYS.items() if is_of(begin, rest)]
        found.add(name)
        kind, life = SHAPES[name]
        assert await client.type(key) == kind
        if rest in ("session:session_b", "session:session_c"):
            life = None
        if rest == "circuit:open":
            life = CIRCUIT_KEPT_SECONDS
        left = await client.ttl(key)
        assert left == -1 if life is None else life - 10 < left <= life, key
    assert found == set(SHAPES)


async def test_no_key_shows_who_the_user_is(valkey_url: str, client: Redis, namespace: str) -> None:
    async with open_store(valkey_url, namespace=namespace, keep_seconds=KEEP) as store:
        await admit(store, a_session(owner="key_a", user_id="ann@example.org"))
    assert not [key for key in await client.keys(f"greenroom:{namespace}:*") if "ann" in key or "key_a" in key]


async def test_two_namespaces_share_nothing(valkey_url: str, namespace: str) -> None:
    async with (
        open_store(valkey_url, namespace=f"{namespace}-a", keep_seconds=KEEP) as one,
        open_store(valkey_url, namespace=f"{namespace}-b", keep_seconds=KEEP) as other,
    ):
        await one_of_everything(one)
        await admit(other, a_session("session_b", owner="key_a", user_id="ann"), max_seats=1)
        assert await other.workers(seen_within=60) == []
        assert await other.counts() == {**dict.fromkeys(State, 0), State.STARTING: 1}
