"""Alerts reach their receiver once, whoever looks and whatever the receiver does meanwhile."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest

from dispatcher.alerts.alerts import NOTE, Alerts, NotPosted, Receiver
from dispatcher.alerts.judge import OVER_SECONDS
from session.record import State
from tests.dispatcher.fakes import Clock
from tests.session.making import NOON, a_session, a_worker, admit
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

URL = "http://pager.example/hook?token=secret"


class Pager:
    """Takes alerts; answers with `status`, or not at all while it is None."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.got: list[dict[str, Any]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == URL
        if self.status is None:
            raise httpx.ConnectError("refused", request=request)
        if self.status == 200:
            self.got.append(json.loads(request.content))
        return httpx.Response(self.status)

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(each["alert"], each["state"]) for each in self.got]


class Scene:
    """A store in which one session starts and no process is warm; `looks` of two dispatchers in turn."""

    def __init__(self) -> None:
        self.clock, self.pager = Clock(NOON), Pager()
        self.store = MemoryStore(self.clock)
        receiver = Receiver(URL, httpx.MockTransport(self.pager.answer))
        self.dispatchers = [Alerts(self.store, receiver), Alerts(self.store, receiver)]

    async def looks(self, seconds: float, *, idle: int) -> None:
        for step in range(int(seconds / 5)):
            self.clock.seconds += 5
            await self.store.beat(a_worker(idle=idle))
            await self.dispatchers[step % 2].look()


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    await admit(made.store, a_session(state=State.STARTING))
    return made


async def test_an_alert_is_posted_once_by_whoever_looks_and_again_when_over(scene: Scene) -> None:
    await scene.looks(300, idle=0)
    assert scene.pager.states == [("GreenroomPoolEmpty", "firing")]
    await scene.looks(OVER_SECONDS + 60, idle=2)
    assert scene.pager.states[1:] == [("GreenroomPoolEmpty", "resolved")]
    first = scene.pager.got[0]
    assert first["text"] == "GreenroomPoolEmpty is firing: No process is warm while calls start."
    assert (first["value"], first["since"], first["timestamp"]) == (1.0, NOON + 5, NOON + 65)
    assert first["runbook"] == "docs/operations.md#alerts-greenroompoolempty"


@pytest.mark.parametrize("status", [500, 404, 302, None])
async def test_a_receiver_that_is_away_gets_it_when_it_is_back(
    scene: Scene, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    scene.pager.status = status
    caplog.set_level(logging.WARNING, logger="httpx")  # as in every process: see runtime/log.py
    with caplog.at_level(logging.INFO):
        await scene.looks(300, idle=0)
    assert scene.pager.got == []
    assert "event=alert_not_posted alert=GreenroomPoolEmpty" in caplog.text
    assert "secret" not in caplog.text
    scene.pager.status = 200
    await scene.looks(60, idle=0)
    assert scene.pager.states == [("GreenroomPoolEmpty", "firing")]
    scene.pager.status = status
    await scene.looks(300, idle=2)
    scene.pager.status = 200
    await scene.looks(60, idle=2)
    assert scene.pager.states[1:] == [("GreenroomPoolEmpty", "resolved")]


async def test_a_note_that_cannot_be_read_counts_as_none(scene: Scene) -> None:
    await scene.store.keep_note(NOTE, '{"samples": 1}')
    await scene.looks(100, idle=0)
    assert scene.pager.states == [("GreenroomPoolEmpty", "firing")]


async def test_a_test_says_that_it_is_one(scene: Scene) -> None:
    receiver = scene.dispatchers[0].receiver
    await receiver.test(NOON)
    assert scene.pager.states == [("GreenroomTest", "firing")]
    scene.pager.status = 403
    with pytest.raises(NotPosted, match="HTTP 403"):
        await receiver.test(NOON)
