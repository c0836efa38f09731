"""A worker's settings come from the environment; a wrong one is refused without showing a secret."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from worker.settings import CORES_PER_CALL, WorkerSettings, default_slots

KEYS = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "a-secret-of-thirty-two-characters"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with nothing of ours in it but the keys, and no `.env` near."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GREENROOM_", "LIVEKIT_", "REDIS", "PREWARM"))]:
        monkeypatch.delenv(name)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_defaults_are_those_of_the_manual(environment: pytest.MonkeyPatch) -> None:
    settings = WorkerSettings()
    assert settings.pool_size == 3
    assert (settings.worker_host, settings.worker_port) == ("127.0.0.1", 8081)
    assert settings.heartbeat_seconds == 1
    assert settings.slots == default_slots()


def test_slots_follow_the_cores() -> None:
    assert default_slots() == max(1, int((os.cpu_count() or 1) / CORES_PER_CALL))


def test_each_setting_is_read_from_its_variable(environment: pytest.MonkeyPatch) -> None:
    given = {
        "GREENROOM_SLOTS": "7",
        "PREWARM_POOL_SIZE": "2",
        "GREENROOM_WORKER_HOST": "0.0.0.0",
        "GREENROOM_WORKER_PORT": "0",
        "GREENROOM_DRAIN_SECONDS": "60",
        "GREENROOM_HEARTBEAT_SECONDS": "0.5",
    }
    for name, value in given.items():
        environment.setenv(name, value)
    settings = WorkerSettings()
    assert (settings.slots, settings.pool_size) == (7, 2)
    assert (settings.worker_host, settings.worker_port) == ("0.0.0.0", 0)
    assert (settings.drain_seconds, settings.heartbeat_seconds) == (60, 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GREENROOM_SLOTS", "0"),
        ("GREENROOM_SLOTS", "many"),
        ("PREWARM_POOL_SIZE", "0"),
        ("GREENROOM_WORKER_PORT", "65536"),
        ("GREENROOM_DRAIN_SECONDS", "-1"),
        ("GREENROOM_HEARTBEAT_SECONDS", "0"),
    ],
)
def test_a_number_out_of_bounds_is_refused(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(ValidationError, match=name):
        WorkerSettings()


def test_no_secret_is_ever_printed(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_URL", "redis://:hush@127.0.0.1:1/0")
    printed = repr(WorkerSettings())
    assert KEYS["LIVEKIT_API_SECRET"] not in printed
    assert "hush" not in printed


def test_a_missing_key_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("LIVEKIT_API_KEY")
    with pytest.raises(ValidationError, match="LIVEKIT_API_KEY"):
        WorkerSettings()
