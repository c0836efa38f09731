"""Who may do what: every route, asked by this machine, by others, and with keys and proofs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from livekit import api as livekit
from prometheus_client import CollectorRegistry

from dispatcher.access.access import Access
from dispatcher.access.keys import ApiKey, Role, new_key
from dispatcher.app import create_app
from dispatcher.observe.metrics import Metrics
from dispatcher.settings import DispatcherSettings
from session.fence import caller_identity
from session.store.ports import update
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.gates import LIVEKIT_SECRET, a_gate, an_access
from tests.session.making import NOON, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

OUTSIDE, OTHER = "192.0.2.7", "198.51.100.9"
SHOP, SHOPS_KEY = new_key(Role.CALLER, "shop", sessions=3, agents=["default"])
RIVAL, RIVALS_KEY = new_key(Role.CALLER, "rival", starts="2/day")
OPERATOR, OPERATORS_KEY = new_key(Role.OPERATOR, "me")
KEYS = (SHOP, RIVAL, OPERATOR)
PUBLIC = {"/api/health", "/healthz", "/readyz", "/webhooks/livekit", "/api/session/{session_id}"}
OPERATORS = {
    "/api/sessions",
    "/api/pool",
    "/api/pool/resize",
    "/api/workers",
    "/api/workers/{worker_id}/drain",
    "/api/workers/{worker_id}/cordon",
    "/api/workers/{worker_id}/uncordon",
    "/api/alerts/test",
}


class World:
    """One app; `asks` gives clients at several addresses."""

    def __init__(self, access: Access, store: MemoryStore) -> None:
        self.access = access
        self.store = store
        self.metrics = Metrics(CollectorRegistry())
        settings = DispatcherSettings(
            _env_file=None, livekit_api_key="devkey", livekit_api_secret=LIVEKIT_SECRET, address_sessions=2
        )
        self.app = create_app(store, FakeRooms(), settings, a_gate(store, by_address="5/day"), access, self.metrics)

    @asynccontextmanager
    async def asks(
        self, peer: str = "127.0.0.1", *, key: str = "", proof: str = ""
    ) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        headers |= {"X-Session-Secret": proof} if proof else {}
        host = "127.0.0.1" if peer == "127.0.0.1" else "192.0.2.1:8080"
        transport = httpx.ASGITransport(self.app, client=(peer, 4711))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers) as http:
            yield http

    async def starts(self, peer: str = "127.0.0.1", *, key: str = "", proof: str = "", **body: Any) -> httpx.Response:
        async with self.asks(peer, key=key, proof=proof) as http:
            return await http.post("/api/session/start?waitMs=0", json=body)


async def a_world(*keys: ApiKey, **facts: Any) -> World:
    store = MemoryStore(Clock(NOON))
    await store.beat(a_worker("worker_a", idle=1, slots=99, agents={"default": (), "private": ()}))
    return World(an_access(*keys, **facts), store)


def requests(session_id: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Method, route, path and body of one request for each route that needs a right."""
    yield "POST", "/api/session/start", "/api/session/start?waitMs=0", {}
    yield "POST", "/api/livekit/token", "/api/livekit/token", {}
    for path in ("/api/sessions", "/api/pool", "/api/workers"):
        yield "GET", path, path, {}
    yield "POST", "/api/pool/resize", "/api/pool/resize", {"size": 3}
    yield "POST", "/api/alerts/test", "/api/alerts/test", {}
    for order in ("cordon", "uncordon", "drain"):
        yield "POST", f"/api/workers/{{worker_id}}/{order}", f"/api/workers/worker_a/{order}", {}
    for what in ("transcript", "logs", "timings"):
        yield "GET", f"/api/session/{{session_id}}/{what}", f"/api/session/{session_id}/{what}", {}
    yield "POST", "/api/token", "/api/token", {"sessionId": session_id}
    yield "POST", "/api/session/stop", "/api/session/stop", {"sessionId": session_id}


async def answers(world: World, session_id: str, peer: str, **shown: str) -> dict[str, tuple[int, str]]:
    found = {}
    async with world.asks(peer, **shown) as http:
        for method, route, path, body in requests(session_id):
            answer = await http.request(method, path, json=body if method == "POST" else None)
            found[route] = (answer.status_code, answer.json().get("code", ""))
    return found


async def test_every_route_is_public_or_needs_a_right() -> None:
    world = await a_world()
    assert set(world.app.openapi()["paths"]) == PUBLIC | {"/metrics"} | {route for _, route, _, _ in requests("x")}


async def test_without_keys_this_machine_may_do_everything_and_others_nothing() -> None:
    world = await a_world()
    session_id = (await world.starts()).json()["sessionId"]
    outside = await answers(world, session_id, OUTSIDE)
    assert {route: code for route, (_, code) in outside.items()} == {
        **dict.fromkeys(outside, "proof_missing"),
        **dict.fromkeys(("/api/session/start", "/api/livekit/token", *OPERATORS), "loopback_only"),
    }
    here = await answers(world, session_id, "127.0.0.1")
    assert here.pop("/api/alerts/test") == (409, "alerts_off")
    assert {status for status, _ in here.values()} == {200, 201}


async def test_the_metrics_are_for_this_machine_some_networks_and_operators() -> None:
    world = await a_world(*KEYS, scrapers=[ip_network("198.51.100.0/24")])
    for peer, key, status in (
        ("127.0.0.1", "", 200),
        (OTHER, "", 200),
        (OUTSIDE, "", 401),
        (OUTSIDE, SHOPS_KEY, 403),
        (OUTSIDE, OPERATORS_KEY, 200),
    ):
        async with world.asks(peer, key=key) as http:
            assert (await http.get("/metrics")).status_code == status, peer
    async with world.asks() as http:
        assert (await http.get("/metrics", headers={"X-Forwarded-For": OUTSIDE})).status_code == 401


async def test_behind_a_proxy_on_this_machine_nobody_is_this_machine() -> None:
    world = await a_world()
    async with world.asks() as http:
        answer = await http.post("/api/session/start", headers={"X-Forwarded-For": "203.0.113.9"})
        refused = await http.get("/api/sessions", headers={"X-Real-IP": "203.0.113.9"})
    assert (answer.status_code, answer.json()["code"]) == (403, "loopback_only")
    assert "greenroom keys new" in answer.json()["error"]
    assert refused.status_code == 403


async def test_open_lets_callers_in_and_operators_still_need_a_key() -> None:
    world = await a_world(open=True)
    assert (await world.starts(OUTSIDE)).status_code == 200
    async with world.asks(OUTSIDE) as http:
        assert (await http.post("/api/livekit/token")).status_code == 201
        refused = await http.get("/api/sessions")
    assert (refused.status_code, refused.json()["code"]) == (401, "key_missing")


async def test_with_a_key_everybody_needs_one() -> None:
    world = await a_world(*KEYS)
    session_id = (await world.starts(key=SHOPS_KEY)).json()["sessionId"]
    for peer in ("127.0.0.1", OUTSIDE):
        refused = await answers(world, session_id, peer)
        assert {status for status, _ in refused.values()} == {401}


async def test_a_tenants_key_opens_its_own_sessions_and_no_others() -> None:
    world = await a_world(*KEYS)
    session_id = (await world.starts(OUTSIDE, key=SHOPS_KEY)).json()["sessionId"]
    rivals = await answers(world, session_id, OTHER, key=RIVALS_KEY)
    for route in ("transcript", "logs", "timings"):
        assert rivals[f"/api/session/{{session_id}}/{route}"] == (403, "not_your_session")
    assert rivals["/api/token"] == rivals["/api/session/stop"] == (403, "not_your_session")
    assert {rivals[each] for each in OPERATORS} == {(403, "operators_only")}
    own = await answers(world, session_id, OTHER, key=SHOPS_KEY)
    assert {own.pop(each) for each in OPERATORS} == {(403, "operators_only")}
    assert {status for status, _ in own.values()} == {200, 201}


async def test_an_operators_key_opens_everything() -> None:
    world = await a_world(*KEYS)
    session_id = (await world.starts(OUTSIDE, key=SHOPS_KEY)).json()["sessionId"]
    found = await answers(world, session_id, OTHER, key=OPERATORS_KEY)
    assert found.pop("/api/alerts/test") == (409, "alerts_off")
    assert {status for status, _ in found.values()} == {200, 201}


async def test_a_key_that_is_not_valid_is_refused_here_too_and_said_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await a_world()
    with caplog.at_level(logging.WARNING):
        answer = await world.starts(key="gr_caller_00000000_" + "0" * 48)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_invalid")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "event=access_refused route=/api/session/start why=KeyInvalid" in caplog.text
    assert "gr_caller" not in caplog.text


async def test_whoever_tries_keys_is_slowed_down_and_a_valid_one_is_not() -> None:
    world = await a_world(*KEYS)
    async with world.asks(OUTSIDE, key="x" * 40) as http:
        codes = [(await http.get("/api/sessions")).status_code for _ in range(40)]
    assert (codes.count(401), codes.count(429)) == (30, 10)
    async with world.asks(OUTSIDE, key=OPERATORS_KEY) as http:
        assert (await http.get("/api/sessions")).status_code == 200


async def test_a_key_of_another_scheme_is_none() -> None:
    world = await a_world(*KEYS)
    async with world.asks(OUTSIDE) as http:
        answer = await http.get("/api/sessions", headers={"Authorization": f"Basic {OPERATORS_KEY}"})
    assert answer.json()["code"] == "key_invalid"


# A userId is no proof


async def test_from_outside_a_user_in_use_gets_a_session_of_its_own() -> None:
    world = await a_world(open=True)
    first = (await world.starts(OUTSIDE, userId="ann")).json()
    second = (await world.starts(OTHER, userId="ann")).json()
    third = (await world.starts(OUTSIDE, userId="ann")).json()
    assert not any(each["reused"] for each in (first, second, third))
    assert len({each["sessionId"] for each in (first, second, third)}) == 3
    again = (await world.starts(OTHER, userId="ann", proof=first["sessionSecret"])).json()
    assert (again["reused"], again["sessionId"]) == (True, first["sessionId"])
    assert again["message"] == "Using existing session"


async def test_an_expired_token_brings_the_caller_back() -> None:
    world = await a_world(open=True)
    first = (await world.starts(OUTSIDE, userId="ann")).json()
    grants = livekit.VideoGrants(room_join=True, room=first["sessionId"])
    access = livekit.AccessToken("devkey", LIVEKIT_SECRET).with_identity(caller_identity(first["sessionId"]))
    token = access.with_ttl(timedelta(seconds=-5)).with_grants(grants).to_jwt()
    assert (await world.starts(OTHER, userId="ann", proof=token)).json()["reused"]
    assert not (await world.starts(OTHER, userId="bob", proof=token)).json()["reused"]
    await world.starts(OUTSIDE, proof=token)
    async with world.asks(OUTSIDE, proof=token) as http:
        assert (await http.post("/api/session/stop", json={"sessionId": first["sessionId"]})).status_code == 200
    assert not (await world.starts(OTHER, userId="ann", proof=token)).json()["reused"]


async def test_a_sessions_secret_opens_that_session_alone() -> None:
    world = await a_world(open=True)
    first, second = [(await world.starts(OUTSIDE)).json() for _ in range(2)]
    own = await answers(world, first["sessionId"], OTHER, proof=first["sessionSecret"])
    assert {own.pop(each) for each in OPERATORS} == {(401, "key_missing")}
    assert {status for status, _ in own.values()} == {200, 201}
    others = await answers(world, second["sessionId"], OTHER, proof=first["sessionSecret"])
    assert others["/api/token"] == others["/api/session/stop"] == (403, "not_your_session")
    async with world.asks(OTHER) as http:
        assert (await http.get(f"/api/session/{second['sessionId']}")).status_code == 200


async def test_on_loopback_and_with_one_key_the_user_suffices() -> None:
    world = await a_world()
    first = (await world.starts(userId="ann")).json()
    assert (await world.starts(userId="ann")).json()["sessionId"] == first["sessionId"]
    world = await a_world(*KEYS)
    first = (await world.starts(OUTSIDE, key=SHOPS_KEY, userId="ann")).json()
    assert (await world.starts(OTHER, key=SHOPS_KEY, userId="ann")).json()["sessionId"] == first["sessionId"]
    assert (await world.starts(OTHER, key=RIVALS_KEY, userId="ann")).json()["sessionId"] != first["sessionId"]


async def test_an_idempotency_key_is_bound_to_its_address_or_api_key() -> None:
    world = await a_world(open=True)
    ids = []
    for peer in (OUTSIDE, OTHER, OUTSIDE):
        async with world.asks(peer) as http:
            answer = await http.post("/api/session/start?waitMs=0", headers={"Idempotency-Key": "1"}, json={})
            ids.append(answer.json()["sessionId"])
    assert ids[0] == ids[2] != ids[1]


# Limits


async def test_a_key_has_its_own_limit_in_place_of_the_address() -> None:
    world = await a_world(*KEYS)
    codes = [(await world.starts(OUTSIDE, key=RIVALS_KEY)).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert [(await world.starts(OUTSIDE, key=OPERATORS_KEY)).status_code for _ in range(7)] == [200] * 7


async def test_a_key_starts_only_its_agents_and_so_many_sessions() -> None:
    world = await a_world(*KEYS)
    refused = await world.starts(OUTSIDE, key=SHOPS_KEY, agent="private")
    assert (refused.status_code, refused.json()["code"]) == (403, "agent_not_allowed")
    first = (await world.starts(OUTSIDE, key=SHOPS_KEY)).json()
    for _ in range(2):
        await world.starts(OUTSIDE, key=SHOPS_KEY)
    refused = await world.starts(OUTSIDE, key=SHOPS_KEY)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_sessions")
    assert int(refused.headers["Retry-After"]) > 0
    async with world.asks(OUTSIDE, key=SHOPS_KEY) as http:
        await http.post("/api/session/stop", json={"sessionId": first["sessionId"]})
    assert (await world.starts(OUTSIDE, key=SHOPS_KEY)).status_code == 200


async def test_one_address_cannot_hold_every_slot() -> None:
    world = await a_world(open=True)
    codes = [(await world.starts(OUTSIDE)).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert (await world.starts(OTHER)).status_code == 200
    assert [(await world.starts()).status_code for _ in range(4)] == [200] * 4


async def test_a_token_needs_the_right_of_a_start() -> None:
    world = await a_world(*KEYS)
    async with world.asks(OUTSIDE, key=SHOPS_KEY) as http:
        wants = {"room_config": {"agents": [{"agent_name": "private"}]}}
        assert (await http.post("/api/livekit/token", json=wants)).json()["code"] == "agent_not_allowed"
        assert (await http.post("/api/livekit/token")).status_code == 201
    for _ in range(3):
        await world.starts(OUTSIDE, key=SHOPS_KEY)
    async with world.asks(OUTSIDE, key=SHOPS_KEY) as http:
        assert (await http.post("/api/livekit/token")).json()["code"] == "too_many_sessions"
    async with world.asks(OUTSIDE, key=RIVALS_KEY) as http:
        assert [(await http.post("/api/livekit/token")).status_code for _ in range(3)] == [201, 201, 429]


# Pages


async def test_a_strange_page_can_neither_start_nor_read() -> None:
    world = await a_world()
    async with world.asks() as http:
        started = await http.post("/api/session/start", headers={"Origin": "https://evil.example"})
        read = await http.get("/api/sessions", headers={"Host": "evil.example"})
    assert (started.status_code, started.json()["code"]) == (403, "origin_not_allowed")
    assert (read.status_code, read.json()["code"]) == (400, "unknown_host")
    assert b'greenroom_access_refused_total{code="unknown_host"} 1.0' in world.metrics.text()


async def test_a_key_in_the_address_is_refused() -> None:
    world = await a_world(*KEYS)
    async with world.asks(OUTSIDE, key=OPERATORS_KEY) as http:
        answer = await http.get(f"/api/sessions?api_key={OPERATORS_KEY}")
    assert (answer.status_code, answer.json()["code"]) == (400, "key_in_address")
    assert OPERATORS_KEY not in answer.text


async def test_a_phone_number_is_shown_to_who_proves_that_the_session_is_theirs_and_to_nobody_else() -> None:
    world = await a_world(*KEYS)
    started = (await world.starts(OUTSIDE, key=SHOPS_KEY)).json()
    path, facts = f"/api/session/{started['sessionId']}", {"from": "+431", "to": "+432", "call_id": "SCL_1"}
    await update(world.store, started["sessionId"], lambda session, _: replace(session, phone=facts))

    async def shown(**how: str) -> Any:
        async with world.asks(OUTSIDE, **how) as http:
            return (await http.get(path)).json()["phone"]

    theirs = {"from": "+431", "to": "+432", "callId": "SCL_1"}
    for how in ({"key": SHOPS_KEY}, {"key": OPERATORS_KEY}, {"proof": started["sessionSecret"]}):
        assert await shown(**how) == theirs
    for how in ({}, {"key": RIVALS_KEY}, {"key": "gr_wrong"}, {"proof": "wrong"}):
        assert await shown(**how) is None
    async with world.asks(OUTSIDE, key=OPERATORS_KEY) as http:
        assert "+431" not in (await http.get("/api/sessions")).text
