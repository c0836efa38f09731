"""A real dispatcher with API keys in a real store, asked directly and through a real proxy."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from bench.harness.system import free_ports, until
from tests.dispatcher.test_main import Dispatcher, environment, run_dispatcher
from tests.support.livekit import KEY, SECRET

pytestmark = pytest.mark.anyio
NGINX = shutil.which("nginx")
CONFIG = """
daemon off; worker_processes 1; pid {home}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
  uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {url}; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}
    location /real/ {{ proxy_pass {url}/; proxy_set_header X-Real-IP $remote_addr; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def running(valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatcher]:
    with run_dispatcher(
        tmp_path_factory.mktemp("dispatcher"),
        free_ports(1)[0],
        REDIS_URL=valkey_server,
        GREENROOM_NAMESPACE="access",
        GREENROOM_LOG_LEVEL="debug",
    ) as dispatcher:
        yield dispatcher


def keys(valkey_server: str, *words: str) -> subprocess.CompletedProcess[str]:
    told = environment(REDIS_URL=valkey_server, GREENROOM_NAMESPACE="access", LIVEKIT_API_KEY=KEY)
    command = [sys.executable, "-m", "dispatcher.access.command", *words]
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=60, check=False)


async def seen(met: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not met():  # noqa: ASYNC110
            await anyio.sleep(0.02)


@contextmanager
def proxy(url: str, home: Path) -> Iterator[str]:
    """nginx in front of `url`."""
    assert NGINX is not None
    port = free_ports(1)[0]
    (home / "nginx.conf").write_text(CONFIG.format(home=home, port=port, url=url))
    process = subprocess.Popen([NGINX, "-c", str(home / "nginx.conf"), "-p", str(home)], stderr=subprocess.DEVNULL)
    try:
        there = f"http://127.0.0.1:{port}"
        until(lambda: _answers(there), 10, "the proxy answers")
        yield there
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url + "/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")
def test_behind_a_real_proxy_on_this_machine_nobody_is_this_machine(running: Dispatcher, tmp_path: Path) -> None:
    assert httpx.get(running.url + "/api/sessions", trust_env=False).status_code == 200
    with proxy(running.url, tmp_path) as there:
        for path in ("/api/sessions", "/real/api/sessions"):
            answer = httpx.get(there + path, trust_env=False)
            assert (answer.status_code, answer.json()["code"]) == (403, "loopback_only")
        assert httpx.get(there + "/api/health", trust_env=False).status_code in (200, 503)


async def test_a_key_opens_within_a_second_and_is_closed_under_load_within_a_second(
    running: Dispatcher, valkey_server: str
) -> None:
    made = await anyio.to_thread.run_sync(keys, valkey_server, "new", "operator", "me")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    async with httpx.AsyncClient(
        base_url=running.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False
    ) as http:
        codes: list[tuple[float, int]] = []

        async def load() -> None:
            while True:
                sent = time.monotonic()  # a request that was sent later must be refused
                codes.append((sent, (await http.get("/api/sessions")).status_code))

        tasks = [asyncio.create_task(load()) for _ in range(4)]
        try:
            await seen(lambda: 200 in {code for _, code in codes})
            revoked = await anyio.to_thread.run_sync(keys, valkey_server, "revoke", key.split("_")[2])
            done = time.monotonic()
            await seen(lambda: any(sent >= done + 2 for sent, _ in codes))
            assert revoked.returncode == 0, revoked.stderr
        finally:
            for task in tasks:
                task.cancel()
        late = {code for sent, code in codes if sent >= done + 1}
    assert 200 in {code for _, code in codes}
    assert late
    assert late <= {401, 429}
    log = running.log.read_text()
    metrics = await anyio.to_thread.run_sync(lambda: httpx.get(running.url + "/metrics", trust_env=False).text)
    for secret in (key, SECRET):
        assert secret not in log
        assert secret not in metrics
    assert "event=access_refused" in log


def test_keys_are_listed_without_the_keys_and_faults_are_said(valkey_server: str, running: Dispatcher) -> None:
    made = keys(
        valkey_server, "new", "caller", "shop", "--starts", "60/minute", "--sessions", "5", "--agent", "default"
    )
    try:
        listed = keys(valkey_server, "list")
        assert made.stdout.strip() not in listed.stdout
        key_id = made.stdout.split("_")[2]
        assert f"{key_id}  caller    shop  starts=60/minute sessions=5 agents=default" in listed.stdout
    finally:
        assert keys(valkey_server, "revoke", made.stdout.split("_")[2]).returncode == 0
    assert keys(valkey_server, "list").stdout == ""
    unknown = keys(valkey_server, "revoke", "00000000")
    assert (unknown.returncode, "there is no key 00000000" in unknown.stderr) == (1, True)
    for words in (("new", "caller", "a b"), ("new", "caller", "shop", "--starts", "often")):
        fault = keys(valkey_server, *words)
        assert fault.returncode == 2
        assert fault.stderr.startswith("greenroom keys: ")
        assert "Traceback" not in fault.stderr


def test_the_first_keys_may_come_by_a_file(valkey_server: str, tmp_path: Path) -> None:
    key = "k" * 40
    (tmp_path / "keys").write_text(f"operator:me:{key}\n")
    (tmp_path / "secret").write_text(SECRET + "\n")
    given = {"GREENROOM_API_KEYS_FILE": str(tmp_path / "keys"), "LIVEKIT_API_SECRET_FILE": str(tmp_path / "secret")}
    port = free_ports(1)[0]
    with run_dispatcher(
        tmp_path, port, REDIS_URL=valkey_server, GREENROOM_NAMESPACE="files", LIVEKIT_API_SECRET="", **given
    ) as dispatcher:
        with httpx.Client(base_url=dispatcher.url, trust_env=False) as http:
            assert http.get("/api/sessions").json()["code"] == "key_missing"
            assert http.get("/api/sessions", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        titles = [
            path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.name != str(os.getpid())
        ]
        assert not any(key.encode() in title or SECRET.encode() in title for title in titles)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    told = environment(LIVEKIT_API_KEY=KEY, LIVEKIT_API_SECRET_FILE=str(tmp_path / "nowhere"))
    done = subprocess.run(
        [sys.executable, "-m", "dispatcher"], cwd=tmp_path, env=told, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "LIVEKIT_API_SECRET_FILE names a file that cannot be read" in done.stderr
