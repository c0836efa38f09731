"""What is kept of sessions that ended, on a real Valkey."""

import json
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from session.record import EndReason, ended
from session.store.ports import RESERVED_SECONDS
from session.store.redis.store import open_store
from tests.session.making import NOON, a_session, admit

pytestmark = pytest.mark.anyio
KEEP = 3600.0


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey_url, decode_responses=True) as client:
        yield client


async def test_the_stream_of_ended_sessions_forgets_what_is_older_than_their_records(
    valkey_url: str, client: Redis, namespace: str
) -> None:
    stream, old = f"greenroom:{namespace}:outgoing", int((time.time() - KEEP - 60) * 1000)
    for number in range(1000):
        await client.xadd(stream, {"record": "old"}, id=f"{old}-{number}")
    async with open_store(valkey_url, namespace=namespace, keep_seconds=KEEP) as store:
        session = await admit(store, a_session())
        await store.write(ended(session, EndReason.STOPPED, NOON), op="a")
    entries = await client.xrange(stream)
    assert len(entries) <= 101  # whole blocks of a hundred are forgotten
    assert json.loads(entries[-1][1]["record"])["id"] == "session_a"


@pytest.mark.parametrize(("keep_seconds", "life"), [(60.0, RESERVED_SECONDS), (RESERVED_SECONDS, None)])
async def test_an_end_is_remembered_for_a_tokens_life_where_its_record_is_not(
    valkey_url: str, client: Redis, namespace: str, keep_seconds: float, life: float | None
) -> None:
    async with open_store(valkey_url, namespace=namespace, keep_seconds=keep_seconds) as store:
        session = await admit(store, a_session())
        await store.write(ended(session, EndReason.STOPPED, NOON), op="a")
    left = await client.ttl(f"greenroom:{namespace}:tomb:session_a")
    assert left == -2 if life is None else life - 10 < left <= life
