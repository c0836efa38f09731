import pytest

from dispatcher.access.keys import Role, new_key
from dispatcher.access.page_guard import Pages
from dispatcher.errors import KeyInAddress, OriginNotAllowed, UnknownHost

KEY = new_key(Role.CALLER, "shop")[1]
PAGES = Pages(hosts=("calls.example",), origins=("https://shop.example",), local=False)
HERE = {"host": "localhost:8080"}


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:8080", True),
        ("127.0.0.1", True),
        ("[::1]:8080", True),
        ("192.0.2.7:8080", True),
        ("[2001:db8::1]", True),
        ("calls.example", True),
        ("CALLS.example:443", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("calls.example.evil.example", False),
        ("", False),
    ],
)
def test_hosts_that_are_ours(host: str, known: bool) -> None:
    fault = PAGES.fault("GET", "/api/sessions", "", {"host": host})
    assert isinstance(fault, UnknownHost) is not known


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/api/health", "/webhooks/livekit"])
def test_probes_and_livekit_may_use_any_name(path: str) -> None:
    assert PAGES.fault("POST", path, "", {"host": "dispatcher.internal"}) is None


@pytest.mark.parametrize(
    ("pages", "origin", "may"),
    [
        (PAGES, "https://shop.example", True),
        (PAGES, "http://localhost:8080", True),
        (PAGES, "http://localhost:3000", False),
        (PAGES, "https://evil.example", False),
        (PAGES, "null", False),
        (PAGES, "", False),
        (Pages(local=True), "http://localhost:3000", True),
        (Pages(local=True), "http://localhost.evil.example", False),
        (Pages(origins=("*",)), "https://evil.example", True),
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_pages_that_may_change_something(pages: Pages, origin: str, may: bool, method: str) -> None:
    fault = pages.fault(method, "/api/session/start", "", {**HERE, "origin": origin})
    assert isinstance(fault, OriginNotAllowed) is not may


def test_reading_is_left_to_the_browsers_own_rules() -> None:
    assert PAGES.fault("GET", "/api/sessions", "", {**HERE, "origin": "https://evil.example"}) is None


@pytest.mark.parametrize(("path", "query"), [("/api/sessions", f"key={KEY}"), (f"/api/session/{KEY}", "")])
def test_a_key_in_an_address_is_refused_even_when_it_is_valid(path: str, query: str) -> None:
    assert isinstance(PAGES.fault("GET", path, query, HERE), KeyInAddress)
