"""An operator tries whether alerts arrive."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dispatcher.alerts.alerts import Receiver
from dispatcher.api import errors as refusals
from dispatcher.api.alerts import AlertRoutes
from tests.dispatcher.gates import an_access
from tests.session.making import NOON

pytestmark = pytest.mark.anyio


async def tried(receiver: Receiver | None) -> httpx.Response:
    app = FastAPI()
    refusals.install(app)
    app.include_router(AlertRoutes(receiver, an_access(), lambda: NOON).router())
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        return await http.post("/api/alerts/test")


def a_receiver(status: int, got: list[Any]) -> Receiver:
    def answer(request: httpx.Request) -> httpx.Response:
        got.append(request.content)
        return httpx.Response(status)

    return Receiver("http://pager.example/secret", httpx.MockTransport(answer))


async def test_a_test_is_posted() -> None:
    got = list[Any]()
    assert (await tried(a_receiver(204, got))).status_code == 200
    assert b"GreenroomTest" in got[0]


async def test_without_a_receiver_it_says_what_to_set() -> None:
    answer = await tried(None)
    assert (answer.status_code, answer.json()["code"]) == (409, "alerts_off")
    assert "WEBHOOK_URL" in answer.json()["error"]


async def test_a_receiver_that_says_no_is_named_without_its_address() -> None:
    answer = await tried(a_receiver(403, []))
    assert (answer.status_code, answer.json()["code"]) == (502, "alert_not_posted")
    assert "HTTP 403" in answer.json()["error"]
    assert "secret" not in answer.text
