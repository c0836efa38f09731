"""Long steps of the set-up that say what they do and that they go on; with the standard library only."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TICK_SECONDS = 10.0  # a step that prints nothing for longer looks stuck
TAIL_LINES = 15  # of a failed step's output, enough for the error and what led to it


class StepFailed(Exception):
    """A step of the set-up failed; the message says what to install or set instead."""


def say(text: str) -> None:
    """Print one line at once."""
    print(f"setup: {text}", flush=True)


def run(
    what: str,
    command: Sequence[str | Path],
    *,
    instead: str,
    environment: Mapping[str, str] | None = None,
    progress: Callable[[list[str]], str] = lambda lines: lines[-1] if lines else "",
    tick_seconds: float = TICK_SECONDS,
) -> None:
    """Run `command`, saying every `tick_seconds` how long it has taken and `progress` of the lines it has printed.

    Raises StepFailed, with `instead` as advice, when it can't be started or fails; its last lines are printed then.
    """
    say(what)
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise StepFailed(f"{what}: {error}\n{instead}") from error
    lines: list[str] = []
    reading = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reading.start()
    try:
        while True:
            try:
                code = process.wait(tick_seconds)
                break
            except subprocess.TimeoutExpired:
                say(f"  {time.monotonic() - began:.0f} s: {progress(lines)}".rstrip(": "))
    except BaseException:  # Ctrl-C: don't leave a compiler running
        process.terminate()
        process.wait()
        raise
    reading.join(timeout=5)
    if code != 0:
        print("\n".join(lines[-TAIL_LINES:]), file=sys.stderr)
        raise StepFailed(f"{what}: failed with exit code {code}\n{instead}")
    say(f"  done in {time.monotonic() - began:.0f} s")


def _read(process: subprocess.Popen[str], lines: list[str]) -> None:
    """Collect what the process prints."""
    assert process.stdout is not None
    with process.stdout as printed:
        lines.extend(line.rstrip() for line in printed if line.strip())
