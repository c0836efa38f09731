"""Ends a worker that is told to stop before it serves; worker/__main__.py calls it before all else.

Loading what a worker needs takes seconds. Without a handler a signal meanwhile would be lost where the worker is the
first process of its container: the kernel gives such a process only what it has a handler for.
"""

from __future__ import annotations

import os
import signal

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LINE = b"worker: told to stop before it served\n"


def exit_when_told() -> None:
    """From now on, until somebody else handles these signals, each ends this process as a success."""
    for number in SIGNALS:
        signal.signal(number, _exit)


def _exit(number: int, frame: object) -> None:
    """Not by an exception: a module that survives the failure of an import would survive this, too."""
    os.write(2, LINE)
    os._exit(0)
