"""`greenroom keys` beside a system that `make up` would start."""

import os
import subprocess
import sys

import httpx
import psutil
import pytest

from bench.harness.system import System, until
from client.api import Control, Refused


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with System(tmp_path_factory.mktemp("keys"), {"PREWARM_POOL_SIZE": "1"}) as running:
        yield running


def keys(system, *words):
    told = {**os.environ, "GREENROOM_VALKEY_PORT": system.ports["GREENROOM_VALKEY_PORT"]}
    told = {name: str(value) for name, value in told.items() if name != "REDIS_URL"}
    command = [sys.executable, "-m", "cli", "keys", *words]
    return subprocess.run(command, cwd=system.directory, env=told, capture_output=True, text=True, timeout=60)


def test_keys_are_made_in_the_store_that_up_has_started(system):
    made = keys(system, "new", "operator", "me")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    with httpx.Client(base_url=system.url, trust_env=False, headers={"Authorization": f"Bearer {key}"}) as http:
        assert http.get("/api/sessions").status_code == 200
    assert "me" in keys(system, "list").stdout
    assert keys(system, "revoke", key.split("_")[2]).returncode == 0


@pytest.mark.anyio
async def test_a_client_with_a_key_starts_and_stops(system):
    made = keys(system, "new", "caller", "shop")
    key = made.stdout.strip()
    try:
        sessions = system.url + "/api/sessions"
        until(lambda: httpx.get(sessions, trust_env=False).status_code == 401, 5, "the new key is known")
        without, with_key = Control(system.url), Control(system.url, key=key)
        with pytest.raises(Refused, match="key_missing"):
            await without.start()
        started = await with_key.start(wait_ms=0)
        await with_key.timings(started.session)
        await with_key.stop(started.session)
        await without.close()
        await with_key.close()
    finally:
        assert keys(system, "revoke", key.split("_")[2]).returncode == 0


def test_help_is_the_commands_own(system):
    said = keys(system, "new", "--help")
    assert (said.returncode, "--starts" in said.stdout) == (0, True)


def test_the_store_asks_for_a_password(system):
    from redis import AuthenticationError, Redis

    port = int(system.ports["GREENROOM_VALKEY_PORT"])
    with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
        stranger.xadd("greenroom:main:docket:stream", {"a": "b"})


def test_media_over_udp_is_taken_on_loopback_alone(system):
    port = int(system.ports["GREENROOM_LIVEKIT_UDP_PORT"])
    server = psutil.Process(system.pids["livekit"])
    bound = {each.laddr.ip for each in server.net_connections(kind="udp") if each.laddr.port == port}
    assert bound <= {"127.0.0.1", "::1"}
    assert bound
