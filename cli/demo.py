"""The command `greenroom demo`: starts everything, places one call, stops everything."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from cli.up.reaper import Reaper

READY_SECONDS = 120.0  # models load in 6 s on two cores; a first start reads 600 MB from a cold disk
STOP_SECONDS = 20.0  # `up` kills what doesn't stop after 10
TAIL_LINES = 30
GREENROOM = (sys.executable, "-m", "cli")


def demo(wav: Path | None) -> int:
    """Run the demonstration; the exit code: 0 when the agent understood and answered.

    `wav` is a recording for the caller to speak; without one a synthetic voice speaks.
    """
    with tempfile.TemporaryDirectory(prefix="greenroom-demo-") as folder:
        ready_file, log_file = Path(folder, "ready.json"), Path(folder, "up.log")
        print("demo: starting Valkey, livekit-server, dispatcher and worker", flush=True)
        with log_file.open("wb") as log:
            up = _start(ready_file, log)
        reaper = Reaper()
        reaper.add(up.pid)
        try:
            url = _url(up, ready_file)
            if url is None:
                print("\n".join(log_file.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:]), file=sys.stderr)
                print("demo: Greenroom did not get ready; its last lines are above", file=sys.stderr)
                return up.poll() or 1
            print(f"demo: ready at {url}; calling", flush=True)
            chosen = [] if wav is None else ["--wav", str(wav)]
            return subprocess.run([*GREENROOM, "call", "--url", url, *chosen], check=False).returncode
        except KeyboardInterrupt:
            return 130
        finally:
            _stop(up)
            reaper.close()


def _start(ready_file: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """`greenroom up`, in a session of its own so that Ctrl-C reaches it by us alone, after the call."""
    return subprocess.Popen(
        [*GREENROOM, "up", "--ready-file", str(ready_file)],
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


def _stop(up: subprocess.Popen[bytes]) -> None:
    """Stop `up` as Ctrl-C does."""
    if up.poll() is None:
        print("demo: stopping", flush=True)
        up.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        up.wait(STOP_SECONDS)
