"""The operators' routes of pool and workers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from dispatcher.app import create_app
from dispatcher.observe.metrics import Metrics
from dispatcher.settings import DispatcherSettings
from session.running import RunningCall, keep_calls
from session.store.orders import WorkerOrder
from tests.dispatcher.fakes import FakeRooms
from tests.dispatcher.gates import LIVEKIT_SECRET, a_gate, an_access
from tests.session.making import NOON, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(lambda: NOON)


@pytest.fixture
async def http(store: MemoryStore) -> AsyncIterator[httpx.AsyncClient]:
    settings = DispatcherSettings(_env_file=None, livekit_api_key="devkey", livekit_api_secret=LIVEKIT_SECRET)
    app = create_app(store, FakeRooms(), settings, a_gate(store), an_access(), Metrics(CollectorRegistry()))
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def test_the_pool_is_shown_as_a_whole_and_by_worker(http: httpx.AsyncClient, store: MemoryStore) -> None:
    await store.beat(a_worker("a", idle=2, starting=1, active=4, prewarm=3))
    await store.beat(a_worker("b", idle=1, starting=0, active=1, prewarm=3))
    await store.beat(a_worker("c", left=True))
    answer = (await http.get("/api/pool")).json()
    assert {each: answer[each] for each in ("target", "idle", "starting", "active")} == {
        "target": 3, "idle": 3, "starting": 1, "active": 5,
    }  # fmt: skip
    assert answer["workers"][0] == {"id": "a", "target": 3, "idle": 2, "starting": 1, "active": 4}
    assert [each["id"] for each in answer["workers"]] == ["a", "b"]


async def test_a_resize_is_kept_shared_out_and_logged(
    http: httpx.AsyncClient, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.beat(a_worker("a", slots=4, prewarm=3))
    with caplog.at_level(logging.INFO):
        answer = await http.post("/api/pool/resize", json={"size": 4})
    assert answer.json() == {"success": True, "size": 4, "applied": 4, "message": "4 processes are kept warm."}
    assert (await store.beat(a_worker("a", slots=4, prewarm=3))).target == 4
    assert "event=pool_resized audit=true by=loopback before=3 after=4 applied=4" in caplog.messages
    answer = await http.post("/api/pool/resize", json={"size": 9})
    assert answer.json()["applied"] == 4
    assert "Only 4 of 9" in answer.json()["message"]
    assert (await http.get("/api/pool")).json()["target"] == 9


@pytest.mark.parametrize("size", [-1, 10_001, 1.5, "6", "many", None, True, [1], {}])
async def test_a_size_that_makes_no_sense_changes_nothing(
    size: Any, http: httpx.AsyncClient, store: MemoryStore
) -> None:
    await store.beat(a_worker("a", prewarm=3))
    answer = await http.post("/api/pool/resize", json={"size": size})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request")
    assert "size" in answer.json()["error"]
    assert await store.pool_size() is None


async def test_no_worker_no_resize(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/pool/resize", json={"size": 3})
    assert (answer.status_code, answer.json()["code"]) == (503, "no_worker")


async def test_workers_are_ordered_about_and_shown(http: httpx.AsyncClient, store: MemoryStore) -> None:
    worker = a_worker("a b", agents={"shop": (), "default": ()})
    await store.beat(worker)
    for way, order in (("cordon", WorkerOrder.CORDON), ("drain", WorkerOrder.DRAIN), ("uncordon", None)):
        answer = await http.post(f"/api/workers/a%20b/{way}")
        assert answer.status_code == 200, answer.text
        assert (await store.beat(worker)).order is order
    await keep_calls(store, "a b", [RunningCall(session_id="session_a", pid=4711, since=NOON, own_memory=52)])
    await store.beat(a_worker("a b", cordoned=True, agents={"shop": (), "default": ()}))
    shown = (await http.get("/api/workers")).json()
    assert shown["count"] == 1
    facts = shown["workers"][0]
    assert (facts["id"], facts["status"], facts["agents"]) == ("a b", "cordoned", ["default", "shop"])
    assert facts["calls"] == [{"sessionId": "session_a", "pid": 4711, "since": NOON, "ownMemory": 52}]


@pytest.mark.parametrize("way", ["drain", "cordon", "uncordon"])
async def test_a_worker_that_does_not_live_is_said(way: str, http: httpx.AsyncClient, store: MemoryStore) -> None:
    await store.beat(a_worker("a", left=True))
    answer = await http.post(f"/api/workers/a/{way}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_worker")
