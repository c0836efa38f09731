import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher.api import alerts, fleet, health, schemas, session_answers
from dispatcher.api.examples import EXAMPLES
from dispatcher.api.openapi import CODES, ROUTES
from dispatcher.app import create_app
from dispatcher.settings import DispatcherSettings
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.gates import a_gate, an_access
from tests.session.making import NOON, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

API_PAGE = Path(__file__).parents[3] / "docs" / "api.md"
NEVER_ANSWERED = {"illegal_transition", "stale", "bad_metadata"}  # these happen to agents, not to requests
ERROR = {"$ref": "#/components/schemas/Error"}


@pytest.fixture(scope="module")
async def api() -> httpx.AsyncClient:
    store = MemoryStore(Clock(NOON))
    await store.beat(a_worker("worker_a", agents={"default": ("greeting",)}))
    told = DispatcherSettings(_env_file=None, livekit_api_key="devkey", livekit_api_secret="s" * 32)
    app = create_app(store, FakeRooms(), told, a_gate(store), an_access())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


@pytest.fixture(scope="module")
async def described(api: httpx.AsyncClient) -> dict[str, Any]:
    """The description as it is served."""
    answer = await api.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def codes(described: dict[str, Any], method: str, path: str) -> dict[int, set[str]]:
    """The codes that a route may answer, by status."""
    responses = described["paths"][path][method.lower()]["responses"]
    return {int(status): set(re.findall(r"`(\w+)`", each["description"])) for status, each in responses.items()}


async def test_every_error_is_described_in_our_shape(described: dict[str, Any]) -> None:
    for path, ways in described["paths"].items():
        for method, route in ways.items():
            errors = {status: each for status, each in route["responses"].items() if int(status) >= 400}
            assert {"400", "422", "500"} <= set(errors), (method, path)
            if path == "/api/health":
                assert errors.pop("503")["content"]["application/json"]["schema"] != ERROR  # health, unhealthy
            assert all(each["content"]["application/json"]["schema"] == ERROR for each in errors.values())
            assert all(
                ("Retry-After" in each.get("headers", {})) is (status in ("429", "503"))
                for status, each in errors.items()
            )
    assert "HTTPValidationError" not in str(described)


async def test_every_request_and_answer_has_an_example_that_its_shape_takes(described: dict[str, Any]) -> None:
    shapes = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(described["paths"]))) - {"Error", "State"}
    assert shapes == set(EXAMPLES)
    models = {**vars(schemas), **vars(health), **vars(fleet), **vars(alerts), **vars(session_answers)}
    for name, example in EXAMPLES.items():
        read = models[name].model_validate(example)
        assert read.model_dump(mode="json", by_alias=name != "TokenSourceBody", exclude_unset=True) == example, name
        assert described["components"]["schemas"][name]["examples"] == [example]


async def test_every_error_has_an_example_of_each_of_its_codes(described: dict[str, Any]) -> None:
    for ways in described["paths"].values():
        for route in ways.values():
            for each in route["responses"].values():
                content = each.get("content", {}).get("application/json", {})
                if content.get("schema") == ERROR:
                    assert set(content["examples"]) == set(re.findall(r"`(\w+)`", each["description"]))
                    assert all(example["value"]["error"].endswith(".") for example in content["examples"].values())


async def test_every_code_is_described_with_its_status(described: dict[str, Any]) -> None:
    found = set()
    for route in ROUTES:
        method, path = route.split()
        for status, names in codes(described, method, path).items():
            assert all(CODES[name] == status for name in names), route
            found |= names
    assert found == set(CODES) - NEVER_ANSWERED


async def test_what_the_page_says_of_a_route_is_described(described: dict[str, Any]) -> None:
    looked_at = 0
    for section in re.split(r"^### ", API_PAGE.read_text("utf-8"), flags=re.M)[1:]:
        method, path = section.split("\n")[0].split()[:2]
        for status, name in re.findall(r"(\d{3}) `(\w+)`", " ".join(re.findall(r"^Errors: .*", section, flags=re.M))):
            assert name in codes(described, method, path)[int(status)], (method, path, name)
            looked_at += 1
    assert looked_at > 40


@pytest.mark.parametrize(
    ("method", "path", "route", "sent"),
    [
        ("POST", "/api/session/start", "/api/session/start", {"content": b"{"}),
        ("POST", "/api/session/start", "/api/session/start", {"content": b"x" * 102_401}),
        ("POST", "/api/session/start", "/api/session/start", {"json": {"agent": "nobody"}}),
        ("POST", "/api/session/start", "/api/session/start", {"json": {"config": {"voice": "emma"}}}),
        ("POST", "/api/session/start", "/api/session/start", {"json": {"config": {"greeting": "!"}}}),
        ("POST", "/api/session/start", "/api/session/start", {"headers": {"Origin": "https://evil.example"}}),
        ("POST", "/api/session/start", "/api/session/start", {"headers": {"Host": "evil.example"}}),
        ("POST", "/api/session/start", "/api/session/start", {"headers": {"Authorization": "Bearer nothing"}}),
        ("POST", "/api/session/start", "/api/session/start", {"headers": {"X-Forwarded-For": "203.0.113.9"}}),
        ("POST", "/api/session/stop", "/api/session/stop", {"json": {"sessionId": "none"}}),
        ("POST", "/api/token", "/api/token", {"json": {"sessionId": "none"}}),
        ("POST", "/api/livekit/token", "/api/livekit/token", {"json": {"participant_metadata": "x" * 2100}}),
        ("POST", "/webhooks/livekit", "/webhooks/livekit", {"content": b"{}"}),
        ("GET", "/api/session/none", "/api/session/{session_id}", {}),
        ("GET", "/api/session/start", "/api/session/{session_id}", {}),
        ("GET", "/api/session/none/logs", "/api/session/{session_id}/logs", {}),
        ("GET", "/api/sessions?limit=0", "/api/sessions", {}),
        ("GET", "/api/sessions", "/api/sessions", {"headers": {"X-Forwarded-For": "203.0.113.9"}}),
    ],
)
async def test_an_error_that_is_answered_is_a_described_one(
    api: httpx.AsyncClient, described: dict[str, Any], method: str, path: str, route: str, sent: dict[str, Any]
) -> None:
    answer = await api.request(method, path, **sent)
    assert answer.status_code >= 400
    assert answer.json()["code"] in codes(described, method, route)[answer.status_code]


async def test_metrics_are_described_as_text(described: dict[str, Any]) -> None:
    assert list(described["paths"]["/metrics"]["get"]["responses"]["200"]["content"]) == ["text/plain"]
