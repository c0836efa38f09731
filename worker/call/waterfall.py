"""The steps of a start in milliseconds since its request; job.py begins it, call.py goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Waterfall:
    """Milliseconds since the request, by step: `zero` is the request on this process's monotonic clock, in seconds."""

    zero: float
    steps: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str, at: float | None = None) -> None:
        """This step is done, now or at `at`."""
        self.steps[name] = round(((at if at is not None else time.monotonic()) - self.zero) * 1000, 1)
