"""The four parts: which are started, with what, in which order."""

import os
import sys
from pathlib import Path

import pytest

from cli.up import parts
from cli.up.keys import Keys
from cli.up.settings import UpSettings

KEYS = Keys("key", "s" * 40)
FILES = parts.Files(
    Path("/valkey-server"), Path("/data"), Path("/valkey.conf"), Path("/livekit-server"), Path("/livekit.yaml")
)


DEFAULTS = UpSettings()


def named(settings: UpSettings = DEFAULTS, files: parts.Files = FILES) -> dict[str, parts.Part]:
    return {part.name: part for part in parts.of_this_machine(settings, KEYS, files, "password")}


def test_the_worker_is_started_last_so_that_it_is_stopped_first():
    assert list(named()) == ["valkey", "livekit", "dispatcher", "worker"]


def test_ours_wait_for_the_servers():
    chosen = named()
    assert chosen["dispatcher"].needs == chosen["worker"].needs == ("valkey", "livekit")


def test_what_runs_elsewhere_is_not_started_and_not_waited_for():
    files = parts.Files(None, Path("/data"), Path("/valkey.conf"), None, Path("/livekit.yaml"))
    chosen = named(UpSettings(redis_url="redis://elsewhere", livekit_url="wss://elsewhere"), files)
    assert list(chosen) == ["dispatcher", "worker"]
    assert chosen["worker"].needs == ()
    assert chosen["worker"].environment["REDIS_URL"] == "redis://elsewhere"
    assert chosen["worker"].environment["LIVEKIT_URL"] == "wss://elsewhere"


def test_ours_are_told_where_the_servers_are():
    environment = named(UpSettings(port=1001, valkey_port=1002, livekit_port=1003, worker_port=1004))[
        "dispatcher"
    ].environment
    assert environment["GREENROOM_PORT"] == "1001"
    assert environment["REDIS_URL"] == "redis://:password@127.0.0.1:1002/0"
    assert environment["LIVEKIT_URL"] == "ws://127.0.0.1:1003"
    assert environment["GREENROOM_WORKER_PORT"] == "1004"
    assert (environment["LIVEKIT_API_KEY"], environment["LIVEKIT_API_SECRET"]) == ("key", KEYS.api_secret)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        pytest.param(UpSettings(), "off", id="only this machine can call"),
        pytest.param(UpSettings(host="::1"), "off", id="by its newer number"),
        pytest.param(UpSettings(rate_limit="5/minute"), None, id="somebody set a limit"),
        pytest.param(UpSettings(trusted_proxies="127.0.0.1"), None, id="others call through a proxy"),
        pytest.param(UpSettings(host="0.0.0.0"), None, id="others can call"),
    ],
)
def test_starts_are_not_limited_where_every_caller_has_the_same_address(settings, limit):
    assert named(settings)["dispatcher"].environment.get("GREENROOM_RATE_LIMIT") == limit
    assert "GREENROOM_RATE_LIMIT" not in named(settings)["worker"].environment


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        pytest.param(UpSettings(), "off", id="only this machine can call"),
        pytest.param(UpSettings(rate_limit="5/minute"), "off", id="somebody set another limit"),
        pytest.param(UpSettings(token_limit="5/minute"), None, id="somebody set a limit"),
        pytest.param(UpSettings(trusted_proxies="127.0.0.1"), None, id="others call through a proxy"),
        pytest.param(UpSettings(host="0.0.0.0"), None, id="others can call"),
    ],
)
def test_tokens_are_not_limited_where_every_caller_has_the_same_address(settings, limit):
    assert named(settings)["dispatcher"].environment.get("GREENROOM_TOKEN_LIMIT") == limit
    assert "GREENROOM_TOKEN_LIMIT" not in named(settings)["worker"].environment


def test_the_store_keeps_what_it_was_told_and_refuses_rather_than_forgets():
    command = named()["valkey"].command
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--bind") + 1] == "127.0.0.1"


def test_no_secret_is_on_a_command_line_or_in_a_repr():
    for part in named().values():
        assert KEYS.api_secret not in " ".join(part.command)
        assert KEYS.api_secret not in repr(part)


def test_a_drain_fits_into_the_time_that_the_worker_gets_to_stop():
    worker = named()["worker"]
    assert float(worker.environment["GREENROOM_DRAIN_SECONDS"]) < worker.stop_seconds


def test_every_port_that_a_part_listens_on_is_checked_and_no_other():
    assert {port.setting for port in parts.ports(UpSettings())} == {
        "GREENROOM_PORT",
        "GREENROOM_WORKER_PORT",
        "GREENROOM_VALKEY_PORT",
        "GREENROOM_LIVEKIT_PORT",
        "GREENROOM_LIVEKIT_TCP_PORT",
        "GREENROOM_LIVEKIT_UDP_PORT",
        "GREENROOM_LIVEKIT_METRICS_PORT",
    }
    elsewhere = UpSettings(redis_url="redis://elsewhere", livekit_url="wss://elsewhere")
    assert {port.setting for port in parts.ports(elsewhere)} == {"GREENROOM_PORT", "GREENROOM_WORKER_PORT"}


def test_the_valkey_of_the_package_is_a_program():
    assert os.access(parts.valkey_server(), os.X_OK)


@pytest.mark.parametrize("name", ["dispatcher", "worker"])
def test_ours_run_with_the_python_that_runs_us(name):
    assert named()[name].command == (sys.executable, "-m", name)
