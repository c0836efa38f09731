"""Who may start how often, what is refused for a while, and the same request again: the start route and its gate."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from dispatcher.access.proof import Proofs
from dispatcher.api import errors as refusals
from dispatcher.api.sessions import SessionRoutes
from dispatcher.errors import FAILED
from dispatcher.observe.metrics import Metrics
from dispatcher.starts.permit import Permits
from session.record import ErrorReason as Error
from session.record import Session, State, became_ready, claimed, failed
from session.store.ports import CIRCUIT_FAILURES, CIRCUIT_SECONDS, update
from tests.dispatcher.fakes import Clock
from tests.dispatcher.gates import LIVEKIT_SECRET, SlowRooms, a_gate, an_access
from tests.dispatcher.house import a_starts
from tests.session.making import NOON, a_session, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

PROXY = "10.0.0.1"
WORKER = a_worker("worker_a", idle=1, slots=99, agents={"default": (), "shop": ()})


@dataclass
class Stage:
    clock: Clock
    store: MemoryStore
    rooms: SlowRooms
    gate: Permits
    metrics: Metrics
    http: httpx.AsyncClient
    secrets: dict[str, str] = field(default_factory=dict)

    async def start(self, **body: Any) -> dict[str, Any]:
        answer = await self.ask(**body)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    async def ask(self, *, key: str | None = None, through: str = "", **body: Any) -> httpx.Response:
        """Start; `through`: who the proxy says is calling."""
        headers = {"X-Forwarded-For": through} if through else {}
        headers |= {"Idempotency-Key": key} if key is not None else {}
        user = body.get("userId", "")
        if user in self.secrets:
            headers["X-Session-Secret"] = self.secrets[user]
        answer = await self.http.post("/api/session/start?waitMs=0", json=body, headers=headers)
        if answer.is_success:
            self.secrets[user] = answer.json()["sessionSecret"]
        return answer

    async def stop(self, session_id: str) -> None:
        proof = {"X-Session-Secret": self.secrets_by_id(session_id)}
        answer = await self.http.post("/api/session/stop", json={"sessionId": session_id}, headers=proof)
        assert answer.is_success, answer.text

    @staticmethod
    def secrets_by_id(session_id: str) -> str:
        return Proofs(LIVEKIT_SECRET).secret_of(session_id)

    async def open_the_circuit(self) -> None:
        for each in range(CIRCUIT_FAILURES):
            over = a_session(f"session_{each}", state=State.ERROR, error=Error.NOT_CLAIMED, created_at=NOON)
            await self.gate.circuit.failed(over)

    async def agent(self, session_id: str) -> Session:
        return await update(self.store, session_id, _ready)


def _ready(session: Session, now: float) -> Session:
    mine = {"attempt": session.attempt, "job": "job_a", "now": now}
    return became_ready(claimed(session, worker="worker_a", **mine), steps={"ready": 410.0, "claim": 210.0}, **mine)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = Clock(NOON)
    store = MemoryStore(clock)
    await store.beat(WORKER)
    metrics, app, rooms = Metrics(CollectorRegistry()), FastAPI(), SlowRooms()
    refusals.install(app)
    gate = a_gate(store, by_address="9/day", by_user="3/day")
    dispatch = a_starts(store, rooms, max_seats=99)
    app.include_router(
        SessionRoutes(store, dispatch, gate, metrics, an_access(open=True, trusted=[ip_network(PROXY)])).router()
    )
    transport = httpx.ASGITransport(app, client=(PROXY, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield Stage(clock, store, rooms, gate, metrics, http)


# Who may start how often


async def said_no(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (int(answer.headers.get("Retry-After", "0")) > 0) is (status in (429, 503))


async def test_one_start_too_many_from_an_address_is_told_when_to_come_back(stage: Stage) -> None:
    for _ in range(9):
        session_id = (await stage.ask(through="203.0.113.9")).json()["sessionId"]
        await stage.stop(session_id)
    await said_no(await stage.ask(through="203.0.113.9"), 429, "rate_limited")
    await said_no(await stage.ask(through="198.51.100.7, 203.0.113.9"), 429, "rate_limited")
    assert (await stage.ask(through="198.51.100.7")).status_code == 200
    assert b'greenroom_starts_total{outcome="rate_limited"} 2.0' in stage.metrics.text()


async def test_a_user_who_starts_too_often_is_told_so(stage: Stage) -> None:
    for _ in range(3):
        session_id = (await stage.ask(userId="ann", through="203.0.113.99")).json()["sessionId"]
        await stage.stop(session_id)
    await said_no(await stage.ask(userId="ann", through="203.0.113.99"), 429, "rate_limited")
    assert (await stage.ask(userId="bob", through="203.0.113.99")).status_code == 200


async def test_what_begins_no_session_is_not_counted(stage: Stage) -> None:
    await stage.start(userId="ann")
    for _ in range(12):
        assert (await stage.start(userId="ann"))["reused"]
        await said_no(await stage.ask(agent="unknown"), 422, "unknown_agent")
    stage.rooms.away = True
    for _ in range(12):
        await said_no(await stage.ask(), 503, "livekit_unavailable")
    stage.rooms.away = False
    for _ in range(8):
        await stage.start()
    await said_no(await stage.ask(), 429, "rate_limited")
    assert (await stage.start(userId="ann"))["reused"]


# Starts that fail in a row


async def test_while_starts_fail_in_a_row_none_is_begun_but_live_ones_are_given_back(stage: Stage) -> None:
    live = await stage.start(userId="ann")
    await stage.open_the_circuit()
    answer = await stage.ask()
    await said_no(answer, 503, "starts_failing")
    assert answer.headers["Retry-After"] == f"{CIRCUIT_SECONDS:.0f}"
    assert (await stage.start(userId="ann"))["sessionId"] == live["sessionId"]
    assert (await stage.ask(agent="shop")).status_code == 200
    assert b'greenroom_starts_total{outcome="starts_failing"} 1.0' in stage.metrics.text()


async def test_after_a_while_one_start_is_tried_and_its_success_lets_all_begin_again(stage: Stage) -> None:
    await stage.open_the_circuit()
    stage.clock.seconds += CIRCUIT_SECONDS
    await stage.store.beat(WORKER)
    await said_no(await stage.ask(agent="unknown"), 422, "unknown_agent")
    stage.rooms.away = True
    await said_no(await stage.ask(), 503, "livekit_unavailable")
    stage.rooms.away = False
    probe = (await stage.start())["sessionId"]
    await said_no(await stage.ask(), 503, "starts_failing")
    await stage.gate.circuit.succeeded(await stage.agent(probe))
    assert (await stage.ask()).status_code == 200


@pytest.mark.parametrize("reason", Error)
async def test_a_start_whose_agent_fails_while_the_answer_waits_says_why(stage: Stage, reason: Error) -> None:
    answers: list[httpx.Response] = []
    async with anyio.create_task_group() as tasks:

        async def start() -> None:
            answers.append(await stage.http.post("/api/session/start?waitMs=10000", json={}))

        tasks.start_soon(start)
        with anyio.fail_after(5):
            while not (page := await stage.store.page({State.STARTING}, limit=1)).sessions:
                await anyio.lowlevel.checkpoint()
        await update(stage.store, page.sessions[0].id, lambda each, now: failed(each, reason, now))
    await said_no(answers[0], refusals.STATUS[FAILED[reason]][0], reason.value)


# The same request again


async def test_the_same_request_again_answers_the_same_session_as_it_is_now(stage: Stage) -> None:
    first = (await stage.ask(key="order-4711", userId="ann")).json()
    await stage.agent(first["sessionId"])
    again = (await stage.ask(key="order-4711", userId="ann")).json()
    assert again == {**first, "status": "ready", "message": "Session ready", "estimatedWait": 0.0}
    assert b'greenroom_starts_total{outcome="repeated"} 1.0' in stage.metrics.text()


@pytest.mark.parametrize(("fails", "status"), [(False, "ended"), (True, "error")])
async def test_the_same_request_after_the_end_starts_nothing_and_says_how_it_ended(
    stage: Stage, fails: bool, status: str
) -> None:
    first = (await stage.ask(key="k")).json()
    if fails:
        await update(stage.store, first["sessionId"], lambda each, now: failed(each, Error.LOST, now))
    else:
        await stage.stop(first["sessionId"])
    again = await stage.ask(key="k")
    assert (again.status_code, again.json()["sessionId"]) == (200, first["sessionId"])
    assert (again.json()["status"], again.json()["reused"], again.json()["token"]) == (status, False, "")
    assert await stage.store.seats() == 0


async def test_the_same_request_again_counts_against_no_limit(stage: Stage) -> None:
    first = (await stage.ask(key="k")).json()
    for _ in range(12):
        assert (await stage.ask(key="k")).json()["sessionId"] == first["sessionId"]
    for _ in range(8):
        await stage.start()
    await said_no(await stage.ask(key="l"), 429, "rate_limited")
    assert (await stage.ask(key="k")).json()["sessionId"] == first["sessionId"]


async def test_a_key_that_was_used_for_another_request_is_refused(stage: Stage) -> None:
    await stage.ask(key="k", userId="ann")
    await said_no(await stage.ask(key="k", userId="bob"), 422, "idempotency_key_reused")
    assert (await stage.ask(key="l", userId="bob")).status_code == 200


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\u00e9"])
async def test_a_key_that_is_none_is_refused(stage: Stage, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = await stage.http.post("/api/session/start", json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request")
    assert answer.json()["error"].startswith("Idempotency-Key must be ")
