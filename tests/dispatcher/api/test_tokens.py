from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dispatcher.api import errors as refusals
from dispatcher.api.tokens import TokenRoutes
from dispatcher.livekit.port import ParticipantDetails
from dispatcher.starts.limits import read_rate
from session.fence import Ticket
from session.record import Session, State
from session.reservation import Reservation
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.gates import a_gate, an_access
from tests.dispatcher.house import a_reservations, a_starts
from tests.session.making import NOON, a_session, a_session_in, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
PROXY = ip_network("127.0.0.1")  # who asks in these tests


@dataclass
class RememberingRooms(FakeRooms):
    """Keeps what its tokens say."""

    names: list[str | None] = field(default_factory=list)
    front_ends: list[ParticipantDetails] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)

    def token(self, session: Session, *, name: str | None) -> str:
        self.names.append(name)
        return super().token(session, name=name)

    def reserved_token(self, ticket: Ticket, front_end: ParticipantDetails, *, deployment: str) -> str:
        self.front_ends.append(front_end)
        self.tickets.append(ticket)
        return super().reserved_token(ticket, front_end, deployment=deployment)


@dataclass
class Stage:
    store: MemoryStore
    rooms: RememberingRooms
    http: httpx.AsyncClient

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.post(path, json=body)

    @property
    def reserved(self) -> Reservation:
        (ticket,) = self.rooms.tickets
        assert ticket.reservation is not None
        return ticket.reservation


@asynccontextmanager
async def a_stage(token_limit: str = "off") -> AsyncIterator[Stage]:
    store, rooms, app = MemoryStore(Clock(NOON)), RememberingRooms(), FastAPI()
    await store.beat(a_worker("worker_a", agents={"default": (), "shop": ()}))
    refusals.install(app)
    starts, reservations = a_starts(store, rooms, max_seats=9), a_reservations(store, rooms)
    access = an_access(open=True, trusted=(PROXY,))
    routes = TokenRoutes(starts, access, reservations, "greenroom", a_gate(store), read_rate(token_limit))
    app.include_router(routes.router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        yield Stage(store, rooms, http)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as stage:
        yield stage


async def test_another_token_names_the_room_and_the_server(stage: Stage) -> None:
    await stage.store.start(a_session(user_id="ann", user_name="Ann"), max_seats=9, op="op")
    answer = await stage.post("/api/token", sessionId="session_a", userId="ann")
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "token": "token of session_a",
        "url": "ws://callers",
        "roomName": "session_a",
    }
    await stage.post("/api/token", sessionId="session_a", userName="Bea")
    assert stage.rooms.names == ["Ann", "Bea"]


async def test_who_waits_in_the_queue_may_join_his_room(stage: Stage) -> None:
    await stage.store.start(a_session_in(State.QUEUED, attempt=0), max_seats=9, op="op")
    answer = await stage.post("/api/token", sessionId="session_a")
    assert (answer.status_code, answer.json()["token"]) == (200, "token of session_a")


async def test_nothing_is_reserved_while_every_slot_is_taken(stage: Stage) -> None:
    await stage.store.beat(a_worker("worker_a", slots=4, active=4, agents={"default": ()}))
    answer = await stage.post("/api/livekit/token")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_capacity")
    assert answer.headers["Retry-After"]


async def test_somebody_else_gets_no_token(stage: Stage) -> None:
    await stage.store.start(a_session(user_id="ann"), max_seats=9, op="op")
    answer = await stage.post("/api/token", sessionId="session_a", userId="bob")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_your_session")


async def test_a_session_that_is_over_cannot_be_joined(stage: Stage) -> None:
    await stage.store.start(a_session_in(State.ENDED), max_seats=9, op="op")
    answer = await stage.post("/api/token", sessionId="session_a")
    assert (answer.status_code, answer.json()["code"]) == (400, "session_not_joinable")


async def test_the_token_endpoint_answers_exactly_as_livekit_clients_read_it(stage: Stage) -> None:
    answer = await stage.http.post("/api/livekit/token")
    session_id = stage.rooms.tickets[0].session_id
    assert answer.status_code == 201
    assert answer.json() == {"server_url": "ws://callers", "participant_token": f"reserved token of {session_id}"}
    assert (stage.reserved.agent, stage.reserved.at, stage.reserved.owner) == ("default", NOON, "")


async def test_a_token_leaves_no_trace_and_each_is_for_a_session_of_its_own(stage: Stage) -> None:
    for _ in range(3):
        await stage.post("/api/livekit/token")
    assert len({each.session_id for each in stage.rooms.tickets}) == 3
    assert not (await stage.store.page(set(State), limit=5)).sessions
    assert stage.rooms.calls == []


@pytest.mark.parametrize("spelling", ["room_name", "roomName"])
async def test_a_room_name_is_ignored(stage: Stage, spelling: str) -> None:
    answer = await stage.post("/api/livekit/token", **{spelling: "mine"})
    assert answer.status_code == 201
    assert stage.rooms.tickets[0].session_id.startswith("session_")


async def test_an_address_gets_so_many_tokens_and_is_told_when_the_next() -> None:
    async with a_stage("2/hour") as stage:
        answers = [await stage.post("/api/livekit/token") for _ in range(3)]
        assert [each.status_code for each in answers] == [201, 201, 429]
        assert (answers[2].json()["code"], answers[2].json()["error"]) == (
            "rate_limited",
            "Too many tokens; try again later.",
        )
        assert 1 <= int(answers[2].headers["Retry-After"]) <= 3600
        other = await stage.http.post("/api/livekit/token", headers={"X-Forwarded-For": "203.0.113.9"})
        assert other.status_code == 201


@pytest.mark.parametrize("room_config", ["room_config", "roomConfig"])
@pytest.mark.parametrize("agent_name", ["agent_name", "agentName"])
async def test_a_front_end_chooses_its_agent_in_either_spelling(
    stage: Stage, room_config: str, agent_name: str
) -> None:
    await stage.post("/api/livekit/token", **{room_config: {"agents": [{agent_name: "shop", "metadata": '{"a": 1}'}]}})
    assert (stage.reserved.agent, stage.reserved.metadata) == ("shop", {"a": 1})


@pytest.mark.parametrize("name", ["", "greenroom"])
async def test_the_workers_own_name_means_the_default_agent(stage: Stage, name: str) -> None:
    await stage.post("/api/livekit/token", room_config={"agents": [{"agent_name": name}]})
    assert stage.reserved.agent == "default"


@pytest.mark.parametrize("given", ["vip", "[1]", '{"a": NaN}', "{"])
async def test_metadata_that_is_no_json_object_is_kept_as_it_is(stage: Stage, given: str) -> None:
    await stage.post("/api/livekit/token", room_config={"agents": [{"metadata": given}]})
    assert stage.reserved.metadata == {"metadata": given}


async def test_what_a_front_end_says_of_its_participant_is_in_the_token(stage: Stage) -> None:
    await stage.post(
        "/api/livekit/token",
        participant_name="Ann",
        participant_identity="ignored",
        participant_metadata="vip",
        participant_attributes={"from": "page"},
    )
    assert stage.rooms.front_ends == [ParticipantDetails(name="Ann", metadata="vip", attributes={"from": "page"})]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"participant_attributes": {"a": "x" * 70_000}}, 422, "token_too_large"),
        ({"room_config": {"agents": [{"metadata": "x" * 4000}]}}, 422, "token_too_large"),
        ({"room_config": {"agents": [{"agent_name": "unknown"}]}}, 422, "unknown_agent"),
        ({"room_config": 5}, 422, "bad_request"),
    ],
)
async def test_nothing_is_reserved_for_a_request_that_is_refused(
    stage: Stage, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await stage.post("/api/livekit/token", **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert stage.rooms.tickets == []


async def test_nothing_is_reserved_when_nobody_could_serve_it(stage: Stage) -> None:
    await stage.store.gone("worker_a")
    answer = await stage.post("/api/livekit/token")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_worker")
    assert answer.headers["Retry-After"]
