from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from dispatcher.app import create_app
from dispatcher.settings import DispatcherSettings
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.gates import a_gate, an_access
from tests.session.making import NOON, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


def settings(**changes: Any) -> DispatcherSettings:
    values: dict[str, Any] = {"livekit_api_key": "devkey", "livekit_api_secret": "s" * 32, **changes}
    return DispatcherSettings(_env_file=None, **values)


async def client(**changes: Any) -> httpx.AsyncClient:
    store = MemoryStore(Clock(NOON))
    await store.beat(a_worker("worker_a", idle=0, agents={"default": ("prompt",)}))
    app = create_app(store, FakeRooms(), settings(**changes), a_gate(store), an_access())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


@pytest.fixture(scope="module")
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with await client() as made:
        yield made


@pytest.mark.parametrize(
    ("origin", "changes", "allowed"),
    [
        pytest.param("http://localhost:3000", {}, True, id="a page of this machine"),
        pytest.param("https://127.0.0.1", {}, True, id="by its number and without a port"),
        pytest.param("http://[::1]:5173", {}, True, id="by its newer number"),
        pytest.param("https://example.com", {}, False, id="not a page of somebody else"),
        pytest.param("http://localhost.example.com", {}, False, id="not one that only begins so"),
        pytest.param("http://example.com/?http://localhost", {}, False, id="not one that only ends so"),
        pytest.param("null", {}, False, id="not a file"),
        pytest.param("http://localhost:3000", {"host": "0.0.0.0"}, False, id="not a local page where all may reach us"),
        pytest.param(
            "https://example.com",
            {"host": "0.0.0.0", "cors_origins": ("https://example.com",)},
            True,
            id="a page that was configured",
        ),
        pytest.param(
            "http://localhost:3000", {"cors_origins": ("https://example.com",)}, False, id="only those that were"
        ),
    ],
)
async def test_pages_that_may_call(origin: str, changes: dict[str, Any], allowed: bool) -> None:
    async with await client(**changes) as api:
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        asks["Access-Control-Request-Headers"] = "content-type"
        preflight = await api.options("/api/session/start", headers=asks)
        answer = await api.get("/api/session/unknown", headers={"Origin": origin})
    for each in (preflight, answer):
        assert each.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert (preflight.status_code == 200) is allowed


async def test_a_page_can_read_when_to_come_back(api: httpx.AsyncClient) -> None:
    answer = await api.get("/healthz", headers={"Origin": "http://localhost"})
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/api/session/start", b"{", 422, "bad_request"),
        ("POST", "/api/session/start", b"\xff\xfe", 422, "bad_request"),
        ("POST", "/api/session/start", b"[]", 422, "bad_request"),
        ("POST", "/api/session/start", b'"text"', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"a":' + b"[" * 50_000, 422, "bad_request"),
        ("POST", "/api/session/start", b'{"userId": 5}', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"userId": "\\ud800"}', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"userId": "' + b"x" * 257 + b'"}', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"metadata": []}', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"metadata": {"a": NaN}}', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"metadata": {"a": 1e999}}', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"metadata": {"a": "\\udc00"}}', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"config": "loud"}', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"config": {"tts": 5}}', 422, "bad_request"),
        ("POST", "/api/session/start", b'{"config": {"voice": "low"}}', 422, "config_not_allowed"),
        ("POST", "/api/session/start", b'{"agent": "unknown"}', 422, "unknown_agent"),
        ("POST", "/api/session/start?waitMs=-1", b"{}", 422, "bad_request"),
        ("POST", "/api/session/start?waitMs=10001", b"{}", 422, "bad_request"),
        ("POST", "/api/session/start?waitMs=soon", b"{}", 422, "bad_request"),
        ("POST", "/api/session/start", b"x" * 102_401, 422, "body_too_large"),
        ("POST", "/api/session/stop", b"{}", 422, "bad_request"),
        ("POST", "/api/session/stop", b"", 422, "bad_request"),
        ("POST", "/api/session/stop", b'{"sessionId": null}', 422, "bad_request"),
        ("POST", "/api/session/stop", b'{"sessionId": "unknown"}', 404, "session_not_found"),
        ("POST", "/api/token", b'{"sessionId": "unknown"}', 404, "session_not_found"),
        ("POST", "/api/token", b'{"sessionId": {}}', 422, "bad_request"),
        ("POST", "/api/livekit/token", b'{"participant_metadata": "' + b"x" * 2100 + b'"}', 422, "token_too_large"),
        ("POST", "/api/livekit/token", b'{"participant_attributes": {"a": 1}}', 422, "bad_request"),
        ("POST", "/webhooks/livekit", b"{}", 401, "bad_signature"),
        ("GET", "/api/session/unknown", b"", 404, "session_not_found"),
        ("GET", "/api/session/%00%ff", b"", 404, "session_not_found"),
        ("GET", "/api/session/unknown/transcript", b"", 404, "session_not_found"),
        ("GET", "/api/session/unknown/logs", b"", 404, "session_not_found"),
        ("GET", "/api/session/unknown/logs?limit=0", b"", 422, "bad_request"),
        ("GET", "/api/session/unknown/timings", b"", 404, "session_not_found"),
        ("GET", "/api/sessions?status=asleep", b"", 422, "bad_request"),
        ("GET", "/api/sessions?limit=many", b"", 422, "bad_request"),
        ("GET", "/api/sessions?cursor=none", b"", 422, "bad_request"),
        ("GET", "/api/nothing", b"", 404, "not_found"),
        ("PUT", "/api/session/start", b"{}", 405, "method_not_allowed"),
    ],
)
async def test_bad_input_is_answered_with_one_readable_sentence(
    api: httpx.AsyncClient, method: str, path: str, body: bytes, status: int, code: str
) -> None:
    answer = await api.request(method, path, content=body, headers=JSON)
    said = answer.json()
    assert (answer.status_code, said["success"], said["code"]) == (status, False, code)
    assert isinstance(said["error"], str)
    assert said["error"][-1] == "."
    assert "\n" not in said["error"]
    assert len(said["error"]) < 300


def nested(depth: int) -> bytes:
    """A start whose metadata is so deep."""
    return b'{"metadata": ' + b'{"a": ' * depth + b"1" + b"}" * (depth + 1)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "sentence"),
    [
        (
            "POST",
            "start",
            {},
            b'{"config": {"stt": true}}',
            'config.stt must be a provider\'s name or {"name", "options"}, or a list of these.',
        ),
        (
            "POST",
            "start",
            {},
            b'{"config": {"tts": {"options": {}}}}',
            'config.tts must be a provider\'s name or {"name", "options"}, or a list of these.',
        ),
        (
            "POST",
            "start",
            {},
            b'{"config": {"llm": {"name": "x", "options": {"a": NaN}}}}',
            "config.llm options must hold only plain JSON values.",
        ),
        ("POST", "start", {}, b'{"config": []}', "config must be a JSON object."),
        ("POST", "start", {}, b'{"metadata": []}', "metadata must be a JSON object."),
        ("POST", "start", {}, b'{"userId": 5}', "userId must be text."),
        ("POST", "start", {}, b'{"userId": "\\ud800"}', "userId must be text."),
        ("POST", "start", {}, b'{"userId": "' + b"x" * 257 + b'"}', "userId must have at most 256 characters."),
        (
            "POST",
            "start",
            {"Idempotency-Key": ""},
            b"{}",
            "Idempotency-Key must be 1 to 255 printable ASCII characters.",
        ),
        (
            "POST",
            "start",
            {},
            b'{"config": {"voice": "../../v1/history?x="}}',
            "config.voice must be a name of 1 to 64 letters, digits, or any of . : _ -, "
            "or an object of such names by provider.",
        ),
        ("POST", "start?waitMs=soon", {}, b"", "waitMs must be a whole number from 0 to 10000."),
        ("POST", "start?waitMs=-1", {}, b"", "waitMs must be a whole number from 0 to 10000."),
        ("POST", "stop", {}, b"{}", "sessionId is missing."),
        ("POST", "stop", {}, b"", "The body must be a JSON object, sent as application/json."),
        ("GET", "unknown/logs?limit=many", {}, b"", "limit must be a whole number from 1 to 100."),
        ("POST", "start", {}, nested(33), "metadata must not be nested deeper than 32."),
    ],
)
async def test_what_is_wrong_with_a_request_is_said_in_plain_words(
    api: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], body: bytes, sentence: str
) -> None:
    answer = await api.request(method, f"/api/session/{path}", content=body, headers={**JSON, **headers})
    assert (answer.status_code, answer.json()["error"]) == (422, sentence)


async def test_facts_may_be_nested_as_deeply_as_it_says(api: httpx.AsyncClient) -> None:
    for headers in ({}, {"Idempotency-Key": "deep"}):
        answer = await api.post("/api/session/start", content=nested(32), headers={**JSON, **headers})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("depth", [260, 950, 952, 10_000])
async def test_facts_that_no_serialiser_could_write_store_nothing(api: httpx.AsyncClient, depth: int) -> None:
    before = (await api.get("/api/sessions")).json()["count"]
    answer = await api.post("/api/session/start", content=nested(depth), headers={**JSON, "Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert (await api.get("/api/sessions")).json()["count"] == before


async def test_an_address_with_one_slash_too_many_leads_nowhere(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/health/", headers={"Host": "localhost"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["start", "stop"])
async def test_what_is_only_posted_is_no_session(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(f"/api/session/{path}")
    assert (answer.status_code, answer.json()["code"], answer.headers["Allow"]) == (405, "method_not_allowed", "POST")


async def test_an_empty_cursor_is_none(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/sessions?cursor=")).status_code == 200


@pytest.mark.parametrize("path", ["/api/health", "/healthz", "/readyz"])
async def test_an_uptime_monitor_may_ask_for_the_head_alone(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.head(path)).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"unknown": 1}', b'{"userId": null, "config": {"mood": "x"}}', b'{"userId": ""}']
)
async def test_what_a_start_may_leave_out_or_say_too_much(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/api/session/start", content=body, headers=JSON)
    assert answer.status_code == 200, answer.text


async def test_every_answer_of_success_says_so(api: httpx.AsyncClient) -> None:
    for path in ("/api/health", "/healthz", "/readyz", "/api/sessions"):
        assert (await api.get(path)).json()["success"] is True


async def test_requests_are_counted_by_route_and_never_by_session() -> None:
    async with await client() as api:
        await api.get("/api/session/session_secret")
        await api.get("/api/nothing")
        text = (await api.get("/metrics")).text
    assert 'greenroom_http_requests_total{route="/api/session/{session_id}",status="4xx"} 1.0' in text
    assert 'greenroom_http_requests_total{route="other",status="4xx"} 1.0' in text
    assert "session_secret" not in text
