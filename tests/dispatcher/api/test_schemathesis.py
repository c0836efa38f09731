"""Requests that the API's own schema allows or forbids, made by seed, and odd bodies: none is answered 500."""

import asyncio
import math
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, settings

from dispatcher.api.sessions import MAX_WAIT_MS
from dispatcher.app import create_app
from dispatcher.settings import DispatcherSettings
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.dispatcher.gates import a_gate, an_access
from tests.session.making import NOON, a_session, a_worker, admit
from tests.session.memory_store import MemoryStore

CASES = int(os.environ.get("GREENROOM_SCHEMATHESIS_CASES", "300"))  # 2000 by hand
MANY = 1_000_000
HARMLESS = (200, 201)
SESSION = "session_a"
WAITED_MS = 50  # where a request may wait longer: nothing comes of it but time


def an_app(store: MemoryStore) -> FastAPI:
    """The real dispatcher, with room for all that is asked."""
    given = {"livekit_api_key": "devkey", "livekit_api_secret": "s" * 32, "max_bots": MANY, "token_limit": "off"}
    told = DispatcherSettings(_env_file=None, **given)
    return create_app(store, FakeRooms(), told, a_gate(store), an_access())


async def furnished(store: MemoryStore) -> None:
    fields = ("prompt", "greeting", "voice", "language", "stt", "llm", "tts")
    providers = {"stt": ["moonshine"], "llm": ["rules"], "tts": ["hibari"]}
    await store.beat(a_worker(agents={"default": fields}, providers=providers, slots=MANY, idle=0))
    await admit(store, a_session(SESSION))


schema = schemathesis.openapi.from_dict(an_app(MemoryStore(Clock(NOON))).openapi())
OPERATIONS = [found.ok().label for found in schema.get_all_operations()]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where it is served, as it is: by uvicorn."""
    store = MemoryStore(Clock(NOON))
    config = uvicorn.Config(an_app(store), port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)

    async def serve() -> None:
        await furnished(store)
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "it does not serve"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=10)
    assert not thread.is_alive()


def check(status: int, content_type: str, said: Any) -> None:
    """Nothing of ours failed, and an error is one readable sentence in our shape."""
    assert status != 500, said
    if status in HARMLESS:
        return
    assert content_type.startswith("application/json"), (status, content_type)
    assert set(said) == {"success", "error", "code"}, said
    assert (said["success"], type(said["error"]), type(said["code"])) == (False, str, str)
    assert 10 < len(said["error"]) < 400, said
    assert said["error"][0].isprintable(), said
    assert said["error"][-1] == ".", said
    assert "\n" not in said["error"], said
    for jargon in ("constrained", "dictionary", "unicode", "pydantic", "regex", "pattern '", "should be"):
        assert jargon not in said["error"], said


@schema.parametrize()  # type: ignore[untyped-decorator,unused-ignore]
@settings(
    max_examples=math.ceil(CASES / len(OPERATIONS)),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_what_the_schema_can_think_of_is_answered_without_a_failure(case: Any, url: str) -> None:
    named = case.path_parameters.get("session_id") if case.path_parameters else None
    if named is not None and len(str(named)) % 2:  # else hardly one would meet a session
        case.path_parameters["session_id"] = SESSION
    wait = str((case.query or {}).get("waitMs"))
    if re.fullmatch(r"[0-9]{1,5}", wait) and WAITED_MS < int(wait) <= MAX_WAIT_MS:
        case.query["waitMs"] = WAITED_MS
    response = case.call(base_url=url)
    kind = response.headers.get("content-type", [""])
    kind = kind[0] if isinstance(kind, list) else kind
    check(response.status_code, kind, response.json() if "json" in kind else response.text)


ODD: tuple[bytes, ...] = (
    b"null", b"true", b"0", b"-1", b"1e400", b"NaN", b"-Infinity", b"9" * 5000, b"0.1", b'""', b'" "', b'"\\u0000"',
    b'"\\ud800"', b'"' + "\N{PILE OF POO}".encode() * 300 + b'"', b'"' + b"x" * 20_000 + b'"', b'"../../etc/passwd"',
    b"[]", b"[[]]", b"[null]", b"{}", b'{"a": null}', b'{"name": 5}', b'{"name": "x", "options": []}', b'{"": ""}',
    b"[" * 40 + b"]" * 40, b'{"a":' * 300 + b"1" + b"}" * 300, b'{"a":' * 952 + b"1" + b"}" * 952, b"{", b"'x'",
    b"\xff",
)  # fmt: skip
FIELDS: dict[str, tuple[str, ...]] = {
    "/api/session/start": (
        "userId", "userName", "metadata", "agent", "config", "config.prompt", "config.greeting", "config.voice",
        "config.language", "config.stt", "config.llm", "config.tts",
    ),
    "/api/session/stop": ("sessionId",),
    "/api/token": ("sessionId", "userName", "userId"),
    "/api/livekit/token": (
        "room_name", "participant_name", "participant_identity", "participant_metadata", "participant_attributes",
        "room_config",
    ),
}  # fmt: skip


def bodies(field: str) -> Iterator[bytes]:
    """Bodies in which this field has an odd value; all are odd themselves without a field."""
    for value in ODD:
        body = value
        for name in reversed(field.split(".")) if field else ():
            body = b'{"' + name.encode() + b'": ' + body + b"}"
        yield body


PLACES = [(path, field) for path, fields in FIELDS.items() for field in ("", *fields)]


def test_there_are_enough_odd_bodies() -> None:
    assert len(PLACES) * len(ODD) >= 300


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    store = MemoryStore(Clock(NOON))
    await furnished(store)
    transport = httpx.ASGITransport(an_app(store), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield http


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "field"), PLACES)
async def test_an_odd_body_is_answered_without_a_failure(api: httpx.AsyncClient, path: str, field: str) -> None:
    for number, body in enumerate(bodies(field)):
        for headers in ({}, {"Idempotency-Key": f"{field}/{number}"}):
            sent = {"Content-Type": "application/json", **headers}
            answer = await api.post(path, content=body, headers=sent)
            check(answer.status_code, answer.headers["content-type"], answer.json())
