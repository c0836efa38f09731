"""A poisoned store: what cannot be read harms nothing beside it, on a real Valkey."""

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from redis.asyncio import Redis

from session.errors import UnreadableRecord
from session.record import EndReason, Session, State, ended
from session.store.codec import to_dict, to_json
from session.store.ports import Utterance
from session.store.redis import unreadable
from session.store.redis.store import RedisStore, open_store
from session.store.redis.unreadable import Unreadable
from tests.session.making import NOON, a_session, a_session_in, a_worker, admit

pytestmark = pytest.mark.anyio
WORDS = "my pin is 4711"
POISON = [
    pytest.param("", id="nothing"),
    pytest.param("{" + WORDS, id="no JSON"),
    pytest.param("[" * 5000, id="a thousand brackets"),
    pytest.param(json.dumps({**to_dict(a_session()), "v": 2}), id="another version"),
    pytest.param(json.dumps({**to_dict(a_session()), "state": WORDS}), id="a field of no kind"),
]


@dataclass
class Stage:
    store: RedisStore
    client: Redis
    namespace: str
    counted: list[None]

    def key(self, end: str) -> str:
        return f"greenroom:{self.namespace}:{end}"

    async def poison(self, session_id: str, record: str) -> None:
        await self.client.hset(self.key(f"session:{session_id}"), "record", record)  # type: ignore[misc]


@pytest.fixture
async def stage(valkey_url: str, namespace: str) -> AsyncIterator[Stage]:
    counted: list[None] = []
    opened = open_store(valkey_url, namespace=namespace, keep_seconds=60, unreadable=lambda: counted.append(None))
    async with opened as store, Redis.from_url(valkey_url, decode_responses=True) as client:
        yield Stage(store, client, namespace, counted)


def queued(session_id: str, **changes: Any) -> Session:
    return replace(a_session_in(State.QUEUED, **changes), id=session_id, room=session_id)


@pytest.mark.parametrize("record", POISON)
async def test_a_record_in_the_queue_lets_the_others_wait_and_start(
    stage: Stage, record: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("session_a", "session_b"):
        await admit(stage.store, queued(name))
    await stage.poison("session_a", record)
    for _ in range(3):
        assert await stage.store.queue() == ["session_b"]
    told = [each for each in caplog.records if "event=unreadable" in each.getMessage()]
    assert (len(told), len(stage.counted)) == (1, 1)
    assert WORDS not in caplog.text


async def test_a_place_in_the_queue_that_is_nobodys_is_given_up(stage: Stage) -> None:
    await stage.client.zadd(stage.key("state:queued"), {"session_x": 1, "session_y": 2})
    await stage.client.set(stage.key("session:session_y"), "a text")
    assert await stage.store.queue() == []
    assert await stage.client.zcard(stage.key("state:queued")) == 0


@pytest.mark.parametrize("record", POISON)
async def test_records_whose_deadline_has_passed_stand_in_nobodys_way(stage: Stage, record: str) -> None:
    for name in ("session_a", "session_b", "session_c"):
        late = replace(a_session(name), deadline=NOON)
        await admit(stage.store, late)
        if name != "session_c":
            await stage.poison(name, record)
    assert await stage.store.due(limit=2) == []  # the first look finds out
    assert await stage.store.due(limit=2) == ["session_c"]


async def test_due_and_listed_are_only_records_of_the_right_type(stage: Stage) -> None:
    await admit(stage.store, replace(a_session(), deadline=NOON))
    await stage.client.delete(stage.key("session:session_a"))
    await stage.client.rpush(stage.key("session:session_a"), "a list")  # type: ignore[misc]
    assert await stage.store.due(limit=9) == []
    assert (await stage.store.page([State.STARTING], limit=9)).sessions == []


async def test_what_is_said_and_logged_beside_it_is_shown(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await admit(stage.store, a_session_in(State.READY))
    said = [Utterance(speaker="user", text=str(number), at=NOON) for number in range(4)]
    await stage.store.say("session_a", said[0], attempt=1, job="job_a")
    await stage.client.rpush(stage.key("transcript:session_a"), WORDS, "[]", "{}")  # type: ignore[misc]
    for each in said[1:]:
        await stage.store.say("session_a", each, attempt=1, job="job_a")
    shown: list[Utterance] = []
    place = pages = 0
    while True:
        page = await stage.store.transcript("session_a", start=place, limit=2)
        shown, pages = [*shown, *page.items], pages + 1
        if page.after is None:
            break
        place = page.after
    assert (shown, pages) == (said, 4)
    assert list((await stage.store.transcript("session_a")).items) == said
    assert len(stage.counted) == 3
    await stage.client.rpush(stage.key("log:session_a"), WORDS, "1.0 " + WORDS, f"{WORDS} {{}}")  # type: ignore[misc]
    await stage.store.log("session_a", "afterwards")
    assert [line["event"] for line in await stage.store.logs("session_a", limit=9)] == ["afterwards"]
    assert WORDS not in caplog.text


@pytest.mark.parametrize("record", POISON)
async def test_a_heartbeat_hides_no_other_worker(stage: Stage, record: str) -> None:
    for name in ("worker_a", "worker_b"):
        await stage.store.beat(a_worker(name))
    await stage.client.set(stage.key("worker:worker_a"), record)
    for _ in range(2):
        assert [each.id for each in await stage.store.workers(seen_within=60)] == ["worker_b"]
    assert len(stage.counted) == 1


async def test_a_heartbeat_of_another_type_hides_no_other_worker(stage: Stage) -> None:
    for name in ("worker_a", "worker_b"):
        await stage.store.beat(a_worker(name))
    await stage.client.delete(stage.key("worker:worker_a"))
    await stage.client.rpush(stage.key("worker:worker_a"), "a list")  # type: ignore[misc]
    assert [each.id for each in await stage.store.workers(seen_within=60)] == ["worker_b"]


@pytest.mark.parametrize("record", POISON)
async def test_an_end_is_passed_over_and_acknowledged(stage: Stage, record: str) -> None:
    await stage.store.ended("metrics", "reader", wait=0.01)  # the group begins with the next end
    await stage.client.xadd(stage.key("outgoing"), {"record": record})
    good = to_json(ended(a_session(), EndReason.STOPPED, NOON))
    await stage.client.xadd(stage.key("outgoing"), {"record": good})
    found = await stage.store.ended("metrics", "reader", wait=0.1)
    assert [each.session.id for each in found] == ["session_a"]
    assert (await stage.client.xpending(stage.key("outgoing"), "metrics"))["pending"] == 1


def test_what_is_told_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger(unreadable.__name__).disabled = True
    try:
        counted: list[None] = []
        seen = Unreadable(lambda: counted.append(None))
        for number in range(unreadable.MOST_REMEMBERED + 1):
            seen.passed_over("session", str(number), UnreadableRecord())
        assert (len(counted), seen.known("session")) == (unreadable.MOST_REMEMBERED + 1, 1)
    finally:
        logging.getLogger(unreadable.__name__).disabled = False
