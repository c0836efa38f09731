"""When a worker says that calls may come, over real HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from bench.harness.system import free_ports
from session.store.ports import SILENT_SECONDS
from tests.session.making import a_worker
from worker.host.health_page import Condition, PortTaken, health_page, why_not_ready

READY = Condition(a_worker(idle=1, active=0), known=True, beat_age=0.5)


@pytest.mark.parametrize("counts", [{"idle": 1, "active": 0}, {"idle": 0, "active": 1}])
def test_a_worker_with_a_process_is_ready(counts: dict[str, int]) -> None:
    assert why_not_ready(replace(READY, worker=a_worker(**counts))) == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"worker": a_worker(idle=1, draining=True)}, "it drains"),
        ({"known": False}, "LiveKit doesn't know it"),
        ({"worker": a_worker(idle=0, active=0)}, "no process is warm"),
        ({"beat_age": SILENT_SECONDS}, "no heartbeat for 5 s"),
    ],
)
def test_a_worker_that_is_not_ready_says_why(changes: dict[str, Any], why: str) -> None:
    assert why in why_not_ready(replace(READY, **changes))


@pytest.mark.anyio
async def test_the_page_follows_the_worker() -> None:
    (port,) = free_ports(1)
    async with (
        health_page("127.0.0.1", port) as page,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        assert (await http.get("/readyz")).text == "not ready: it starts"
        page.condition = lambda: READY
        assert (await http.get("/readyz")).status_code == 200
        page.condition = lambda: replace(READY, known=False)
        assert (await http.get("/healthz")).status_code == 200
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "not ready: LiveKit doesn't know it")
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"http://127.0.0.1:{port}/healthz")


@pytest.mark.anyio
async def test_a_port_that_is_taken_is_an_error() -> None:
    (port,) = free_ports(1)
    async with health_page("127.0.0.1", port):
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port} .*GREENROOM_WORKER_PORT"):
            async with health_page("127.0.0.1", port):
                pass
