"""A `greenroom up` that runs for as long as another program needs it; `demo` and `test --speech` use it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from cli.up.reaper import Reaper

READY_SECONDS = 120.0  # models load in 6 s on two cores; a first start reads 600 MB from a cold disk
STOP_SECONDS = 20.0  # `up` kills what doesn't stop after 10
TAIL_LINES = 30
GREENROOM = (sys.executable, "-m", "cli")


class NotStarted(Exception):
    """`greenroom up` ended, or was not ready in time; the message has its last lines.

    Args:
        tail: Those.
        code: Its exit code; 1 where it has none yet.
    """

    def __init__(self, tail: str, code: int) -> None:
        super().__init__(
            f"the last lines of greenroom up:\n{tail}\nGreenroom did not get ready; its last lines say why"
        )
        self.code = code


@contextlib.contextmanager
def started(name: str, environment: Mapping[str, str], greenroom: tuple[str, ...] = GREENROOM) -> Iterator[str]:
    """Run everything on this machine, and stop it at the end.

    Args:
        name: Of the program that needs it, for what is printed.
        environment: Variables that are set for it.
        greenroom: The command `greenroom`.

    Yields:
        The address at which a caller can be served.

    Raises:
        NotStarted: It didn't get ready.
    """
    with tempfile.TemporaryDirectory(prefix="greenroom-up-") as folder:
        ready_file, log_file = Path(folder, "ready.json"), Path(folder, "up.log")
        print(f"{name}: starting Valkey, livekit-server, dispatcher and worker", flush=True)
        with log_file.open("wb") as log:
            up = _start(greenroom, ready_file, log, environment)
        reaper = Reaper()
        reaper.add(up.pid)
        try:
            url = _url(up, ready_file)
            if url is None:
                raise NotStarted(
                    "\n".join(log_file.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:]), up.poll() or 1
                )
            yield url
        finally:
            _stop(name, up)
            reaper.close()


def _start(
    greenroom: tuple[str, ...], ready_file: Path, log: IO[bytes], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """`greenroom up`, in a session of its own so that Ctrl-C reaches it by us alone, after the call."""
    return subprocess.Popen(
        [*greenroom, "up", "--ready-file", str(ready_file)],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _url(up: subprocess.Popen[bytes], ready_file: Path) -> str | None:
    """Where a caller can be served, once one can; None when `up` ended or took too long."""
    deadline = time.monotonic() + READY_SECONDS
    while up.poll() is None and time.monotonic() < deadline:
        if ready_file.exists():
            return str(json.loads(ready_file.read_text("utf-8"))["url"])
        time.sleep(0.05)
    return None


def _stop(name: str, up: subprocess.Popen[bytes]) -> None:
    """Stop `up` as Ctrl-C does."""
    if up.poll() is None:
        print(f"{name}: stopping", flush=True)
        up.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        up.wait(STOP_SECONDS)
