"""Operators' commands, run as programs against an API that answers over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import anyio
import pytest
import uvicorn
from prometheus_client import CollectorRegistry

from bench.harness.system import ROOT, free_ports
from dispatcher.access.keys import Role, new_key
from dispatcher.app import create_app
from dispatcher.observe.metrics import Metrics
from dispatcher.settings import DispatcherSettings
from session.record import State
from tests.dispatcher.fakes import FakeRooms
from tests.dispatcher.gates import LIVEKIT_SECRET, a_gate, an_access
from tests.session.making import NOON, a_session, a_worker
from tests.session.memory_store import MemoryStore

OPERATOR, KEY = new_key(Role.OPERATOR, "me")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of an API with one worker and one session, whose user has an odd name."""
    store = MemoryStore(lambda: NOON)
    session = a_session("session_a", user_id="[/odd]", state=State.READY, worker="worker_a")

    async def begin() -> None:
        await store.beat(a_worker(prewarm=3, agents={"default": ()}))
        await store.start(session, max_seats=5, op="a")
        await store.log("session_a", "ready", by="[worker]")

    anyio.run(begin)
    settings = DispatcherSettings(_env_file=None, livekit_api_key="devkey", livekit_api_secret=LIVEKIT_SECRET)
    app = create_app(store, FakeRooms(), settings, a_gate(store), an_access(OPERATOR), Metrics(CollectorRegistry()))
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def greenroom(url: str, *words: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    told = {"GREENROOM_URL": url, "GREENROOM_OPERATOR_KEY": key, "COLUMNS": "200", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "cli", *words]
    return subprocess.run(
        command, cwd=ROOT, env={"PATH": os.environ["PATH"], **told}, capture_output=True, text=True, timeout=60
    )


def shown(url: str, *words: str) -> str:
    run = greenroom(url, *words)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_status_shows_health_and_says_so_by_its_exit_code(url: str) -> None:
    assert "1 ready, 0 starting" in shown(url, "status")
    (port,) = free_ports(1)
    away = greenroom(f"http://127.0.0.1:{port}", "status")
    assert away.returncode == 1
    assert "nothing answers" in away.stderr


def test_the_pool_is_shown_and_resized(url: str) -> None:
    assert "worker_a" in shown(url, "pool")
    assert "4 processes are kept warm" in shown(url, "pool", "4")
    assert json.loads(shown(url, "pool", "--json"))["target"] == 4
    assert greenroom(url, "pool", "many").returncode == 2


def test_workers_are_shown_and_ordered_about(url: str) -> None:
    assert "serving" in shown(url, "workers")
    assert "takes no new calls" in shown(url, "cordon", "worker_a")
    assert "takes calls" in shown(url, "uncordon", "worker_a")
    unknown = greenroom(url, "drain", "nobody")
    assert (unknown.returncode, "No worker of this name" in unknown.stderr) == (1, True)


def test_an_alert_is_tried(url: str) -> None:
    assert "WEBHOOK_URL is not set" in greenroom(url, "alert", "--test").stderr
    assert greenroom(url, "alert").returncode == 2


def test_sessions_are_found_and_shown_whatever_their_users_are_called(url: str) -> None:
    assert "[/odd]" in shown(url, "sessions", "--user", "[/odd]", "--worker", "worker_a")
    assert "session_a" not in shown(url, "sessions", "--agent", "nobody")
    assert "by=[worker]" in shown(url, "session", "session_a", "--transcript")
    assert json.loads(shown(url, "session", "session_a", "--json"))["session"]["status"] == "ready"


def test_without_a_key_it_says_what_to_do(url: str) -> None:
    refused = greenroom(url, "workers", key="")
    assert refused.returncode == 1
    assert "GREENROOM_OPERATOR_KEY" in refused.stderr
