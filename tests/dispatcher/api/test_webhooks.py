from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from dispatcher.api import errors as refusals
from dispatcher.api.webhooks import WebhookRoutes
from dispatcher.ending import Ending
from dispatcher.errors import BadSignature
from dispatcher.livekit.port import OpenRoom, Participant, RoomWebhook, WebhookKind
from dispatcher.observe.metrics import Metrics
from dispatcher.upkeep.webhooks import Webhooks
from session.fence import caller_identity
from session.record import CallerPresence
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.house import a_reservations
from tests.session.making import NOON, a_session
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
RAW = b'{"a":  "body whose spaces count"}'


@dataclass
class SigningRooms(FakeRooms):
    """Takes one body under one signature, for the caller's join."""

    def read_webhook(self, body: bytes, authorization: str) -> RoomWebhook:
        if (body, authorization) != (RAW, "signed"):
            raise BadSignature
        caller = Participant(caller_identity("session_a"))
        return RoomWebhook("EV_1", WebhookKind.JOINED, OpenRoom("session_a", "RM_1"), caller)


@dataclass
class Stage:
    store: MemoryStore
    http: httpx.AsyncClient
    registry: CollectorRegistry

    def ignored(self, why: str) -> float | None:
        return self.registry.get_sample_value("greenroom_webhooks_ignored_total", {"why": why})


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    store, app, registry = MemoryStore(Clock(NOON)), FastAPI(), CollectorRegistry()
    await store.start(a_session(), max_seats=9, op="op")
    refusals.install(app)
    rooms = SigningRooms()
    reservations = a_reservations(store, rooms)
    webhooks = Webhooks(store, rooms, Ending(store, rooms), Metrics(registry), "secret", reservations)
    app.include_router(WebhookRoutes(webhooks).router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        yield Stage(store, http, registry)


async def test_a_signed_webhook_is_applied(stage: Stage) -> None:
    answer = await stage.http.post("/webhooks/livekit", content=RAW, headers={"Authorization": "signed"})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert (await stage.store.get("session_a")).caller is CallerPresence.PRESENT
    assert (stage.ignored("forged"), stage.ignored("repeated")) == (0, 0)


async def test_a_webhook_that_comes_again_is_answered_changes_nothing_and_is_counted(stage: Stage) -> None:
    await stage.http.post("/webhooks/livekit", content=RAW, headers={"Authorization": "signed"})
    before = await stage.store.get("session_a")
    answer = await stage.http.post("/webhooks/livekit", content=RAW, headers={"Authorization": "signed"})
    assert answer.status_code == 200
    assert await stage.store.get("session_a") == before
    assert (stage.ignored("forged"), stage.ignored("repeated")) == (0, 1)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(RAW, {}, id="no signature"),
        pytest.param(RAW, {"Authorization": "other"}, id="another signature"),
        pytest.param(RAW.replace(b"  ", b" "), {"Authorization": "signed"}, id="the same said in other bytes"),
        pytest.param(b"", {"Authorization": "signed"}, id="no body"),
    ],
)
async def test_a_webhook_of_somebody_else_changes_nothing(stage: Stage, body: bytes, headers: dict[str, str]) -> None:
    before = await stage.store.get("session_a")
    answer = await stage.http.post("/webhooks/livekit", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    assert (stage.ignored("forged"), stage.ignored("repeated")) == (1, 0)
    assert await stage.store.get("session_a") == before
