"""Runs all of Greenroom on this machine: checks what it needs, hands over to the supervisor, says when it can serve."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from cli.setup import livekit_binary
from cli.up import livekit_config, parts, ports
from cli.up.keys import Keys, KeysError, kept, valkey_password, write_private
from cli.up.output import Output
from cli.up.reaper import Reaper
from cli.up.settings import SettingError, UpSettings, environment
from cli.up.supervisor import GaveUp, Supervisor

VALKEY_CONFIG = "valkey.conf"
LOCK_SECONDS = 6.0  # how long the reaper of an `up` that was killed may still be cleaning up (see cli/up/reaper.py)


class AlreadyUp(Exception):
    """Another `up` runs with the same state directory."""


def up(ready_file: Path | None) -> int:
    """Run everything until SIGINT, SIGTERM or SIGHUP; the exit code: 0 stopped, 1 a part can't run, 2 can't begin.

    `ready_file` is written, as JSON, when a caller can be served, and removed at the end.
    """
    try:
        told = environment()
        settings = UpSettings.read(told)
        state = settings.state_dir.resolve()
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(state / "lock") as lock:
            return _up(settings, state, told, lock, ready_file)
    except (
        SettingError, AlreadyUp, ports.PortError, parts.PartError, KeysError, livekit_binary.LivekitMissing, OSError
    ) as error:  # fmt: skip
        for line in str(error).splitlines():
            print(f"greenroom up: {line}", file=sys.stderr)
        return 2


def _up(settings: UpSettings, state: Path, told: Mapping[str, str], lock: int, ready_file: Path | None) -> int:
    """Prepare and run, holding the lock."""
    ports.check(parts.ports(settings))
    keys = _keys(settings, state)
    files = _files(settings, state, told)
    password = valkey_password(files.valkey_config) if files.valkey_server is not None else ""
    chosen = parts.of_this_machine(settings, keys, files, password)
    names = [part.name for part in chosen]
    output = Output(sys.stdout, names, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    output.say(f"starting {', '.join(names)}; state is kept in {state}")
    announced = False

    def on_ready(pids: dict[str, int]) -> None:
        nonlocal announced
        if ready_file is not None:
            write_private(ready_file, json.dumps(_facts(settings, state, pids)) + "\n")
        if not announced:
            announced = True
            output.plain(f"Greenroom is ready: {settings.url}")

    reaper = Reaper(holds=(lock,))
    try:
        asyncio.run(_run(chosen, output, reaper, on_ready))
    except GaveUp as error:
        output.say(f"{error}; its lines above say why")
        return 1
    finally:
        reaper.close()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
    output.say("stopped")
    return 0


async def _run(
    chosen: list[parts.Part], output: Output, reaper: Reaper, on_ready: Callable[[dict[str, int]], None]
) -> None:
    """Run the supervisor until a signal asks for the end; a second one doesn't wait for it."""
    stop = asyncio.Event()
    supervisor = Supervisor(chosen, output, reaper, on_ready=on_ready)

    def on_signal() -> None:
        if stop.is_set():
            supervisor.kill()
        else:
            output.say("stopping; once more to kill")
            stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    await supervisor.run(stop)


def _keys(settings: UpSettings, state: Path) -> Keys:
    """The keys that are set, else those kept in `state`."""
    if settings.livekit_api_key is not None and settings.livekit_api_secret is not None:
        return Keys(settings.livekit_api_key, settings.livekit_api_secret)
    return kept(state / "keys.json")


def _files(settings: UpSettings, state: Path, told: Mapping[str, str]) -> parts.Files:
    """The servers to start here and what they are started with."""
    config = state / "livekit.yaml"
    livekit_server = valkey_server = None
    if settings.livekit_url is None:
        livekit_server = livekit_binary.found(told)
        write_private(config, livekit_config.merged(livekit_config.LIVEKIT_YAML.read_text("utf-8"), settings))
    if settings.redis_url is None:
        valkey_server = parts.valkey_server()
        (state / "valkey").mkdir(exist_ok=True, mode=0o700)
    return parts.Files(valkey_server, state / "valkey", state / VALKEY_CONFIG, livekit_server, config)


def _facts(settings: UpSettings, state: Path, pids: dict[str, int]) -> dict[str, object]:
    """What the ready file tells a program that started us; no secret of ours is in it."""
    return {
        "url": settings.url,
        "livekitUrl": parts.livekit_url(settings),
        "redisUrl": parts.redis_url(settings),
        "valkeyConfigPath": None if settings.redis_url else str(state / VALKEY_CONFIG),
        "keysPath": None if settings.livekit_api_key else str(state / "keys.json"),
        "pids": {"up": os.getpid(), **pids},
    }


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold the lock at `path`, in which our process id is written; the file's descriptor.

    Raises AlreadyUp when another process holds it and lives.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(descriptor):
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            if _lives(owner) or time.monotonic() > deadline:
                raise AlreadyUp(
                    f"another `greenroom up` (process {owner}) runs with {path.parent}: stop it, or set "
                    "GREENROOM_STATE_DIR and other ports for a second one"
                )
            time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(owner: str) -> bool:
    """Whether the process with the id `owner` exists."""
    try:
        os.kill(int(owner), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(up(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
