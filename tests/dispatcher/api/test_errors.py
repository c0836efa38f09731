import json
import logging
from collections.abc import Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, Field

from dispatcher.api import errors as refusals
from session.errors import SessionError, SessionNotFound

SPOKEN = "my card number is 4242"


def _never(_: int) -> int:
    raise ValueError("must be one of ours")


class Body(BaseModel):
    name: Annotated[str, Field(max_length=3)] = ""
    depth: Annotated[int, AfterValidator(_never)] | None = None


def _subclasses(base: type[SessionError]) -> list[type[SessionError]]:
    return [each for each in base.__subclasses__() if each.__module__ in ("session.errors", "dispatcher.errors")]


def _app(error: Exception) -> FastAPI:
    app = FastAPI()
    refusals.install(app)

    @app.get("/fails")
    async def fails() -> None:
        raise error

    @app.post("/takes")
    async def takes(body: Body) -> Body:
        return body

    return app


async def _ask(error: Exception, method: str, path: str, content: bytes | None = None) -> httpx.Response:
    transport = httpx.ASGITransport(_app(error), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(method, path, content=content, headers={"Content-Type": "application/json"})


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_named_error_has_a_status_and_a_code_of_its_own() -> None:
    assert set(refusals.STATUS) == set(_subclasses(SessionError))
    codes = [code for _, code in refusals.STATUS.values()]
    assert len(codes) == len(set(codes))


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(refusals.STATUS), ids=lambda kind: kind.__name__)
async def test_a_named_error_is_answered_with_its_status_its_code_and_its_words(kind: type[SessionError]) -> None:
    response = await _ask(kind("Because of this."), "GET", "/fails")
    status, code = refusals.STATUS[kind]
    assert response.status_code == status
    assert response.json() == {"success": False, "error": "Because of this.", "code": code}


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(refusals.STATUS), ids=lambda kind: kind.__name__)
async def test_only_what_passes_says_when_to_come_back(kind: type[SessionError]) -> None:
    response = await _ask(kind(), "GET", "/fails")
    wait = response.headers.get("Retry-After")
    if response.status_code not in (429, 503):
        assert wait is None
    else:
        assert wait == ("5" if response.json()["code"] in ("no_capacity", "no_worker", "too_many_sessions") else "2")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", list(refusals.STATUS), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("seconds", "said"), [(41.2, "42"), (7.0, "7"), (0.001, "1"), (0.0, "1"), (-3.0, "1")])
async def test_an_error_that_knows_better_when_to_come_back_says_so(
    kind: type[SessionError], seconds: float, said: str
) -> None:
    response = await _ask(kind(retry_after=seconds), "GET", "/fails")
    assert response.headers.get("Retry-After") == (said if response.status_code in (429, 503) else None)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code", "error"),
    [
        pytest.param("GET", "/no", None, 404, "not_found", "There is nothing at this address.", id="no such address"),
        pytest.param(
            "PUT",
            "/takes",
            b"{}",
            405,
            "method_not_allowed",
            "This address does not take this method.",
            id="an address that is asked with the wrong method",
        ),
        pytest.param(
            "POST", "/takes", b"{", 422, "bad_request", "The body is not valid JSON.", id="a body that is no JSON"
        ),
        pytest.param(
            "POST", "/takes", b"\xff{}", 422, "bad_request", "The body is not valid JSON.", id="a body that is no UTF-8"
        ),
        pytest.param(
            "POST",
            "/takes",
            b"[]",
            422,
            "bad_request",
            "The body must be a JSON object, sent as application/json.",
            id="a body that is no object",
        ),
        pytest.param(
            "POST",
            "/takes",
            b'{"name": "long"}',
            422,
            "bad_request",
            "name must have at most 3 characters.",
            id="a field that is too long",
        ),
        pytest.param(
            "POST",
            "/takes",
            b'{"depth": 1}',
            422,
            "bad_request",
            "depth must be one of ours.",
            id="a field that our own rule refuses",
        ),
    ],
)
async def test_the_framework_speaks_in_our_shape(
    method: str, path: str, content: bytes | None, status: int, code: str, error: str
) -> None:
    response = await _ask(SessionNotFound(), method, path, content)
    assert (response.status_code, response.json()) == (status, {"success": False, "error": error, "code": code})


@pytest.mark.anyio
async def test_a_wrong_method_still_says_which_is_right() -> None:
    assert (await _ask(SessionNotFound(), "PUT", "/takes", b"{}")).headers["Allow"] == "POST"


@pytest.mark.anyio
async def test_a_refused_value_is_not_repeated() -> None:
    response = await _ask(SessionNotFound(), "POST", "/takes", json.dumps({"name": SPOKEN}).encode())
    assert response.status_code == 422
    assert SPOKEN not in response.text


@pytest.mark.anyio
async def test_an_unexpected_error_tells_the_caller_nothing_of_itself() -> None:
    response = await _ask(RuntimeError(SPOKEN), "GET", "/fails")
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert response.json()["success"] is False
    assert SPOKEN not in response.text


def test_a_very_long_field_name_is_cut() -> None:
    found = {"loc": ("body", "x" * 5000), "type": "extra_forbidden", "msg": "Extra inputs are not permitted"}
    assert len(refusals.sentence(found)) < 300


def test_a_field_that_a_caller_has_named_breaks_no_line() -> None:
    found = {"loc": ("body", "attributes", "a\nb\u2028\x1b"), "type": "string_type", "msg": "Input should be"}
    assert refusals.sentence(found) == "attributes.a?b?? must be text."
