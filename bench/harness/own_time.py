"""An event loop whose time is what this process waits for and works, whatever else the machine does; for bench/turns.

Waiting costs no time of ours, so it is skipped: a second of sound takes as long as the pipeline works on it. The work
of several threads adds up, as on one core, so a figure is rather too high than too low.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

LOOK_SECONDS = 0.0005  # of real time, between two looks at whether other threads are done


class _Skipping(selectors.DefaultSelector):
    """Waits only while other threads work; else it skips the time."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        self.working = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; if nothing is, the time has passed."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.working or timeout is None:
            return super().select(LOOK_SECONDS)
        self.skipped += timeout
        return []


class OwnTimeLoop(asyncio.SelectorEventLoop):
    """`asyncio.Runner(loop_factory=OwnTimeLoop)`."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Seconds of processor time, and of time that was skipped."""
        return time.process_time() + self._skipping.skipped

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """As asyncio does; no time is skipped until it is done."""
        self._skipping.working += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: asyncio.Future[Any]) -> None:
        self._skipping.working -= 1
