"""Decides when LLMs are asked again after all of them have failed, within the caller's patience; llm.py asks."""

from __future__ import annotations

import math
from dataclasses import dataclass

PAUSES = (0.2, 0.5, 1.0, 1.5, 2.0, 2.5)  # seconds before each further try
LAST_TRY = 0.75  # of the patience: after an error that came later, such as a timeout, another try would end too late


@dataclass(slots=True)
class Retries:
    """The tries of one answer. Times are seconds of one monotonic clock.

    Attributes:
        patience: seconds of the caller's silence within which it must hear something.
    """

    patience: float
    _failed: int = 0
    _progressed: float = -math.inf

    def progressed(self, now: float) -> None:
        """What has just failed had brought words that are heard: there are all tries, and all the time, again."""
        self._failed, self._progressed = 0, now

    def pause(self, now: float, since: float) -> float | None:
        """Seconds to wait before the LLM is asked again after an error.

        Args:
            now: the time.
            since: when the caller ended its turn, or last heard something of the answer.

        Returns:
            None: the caller has waited long enough.
        """
        if self._failed >= len(PAUSES):
            return None
        since = max(since, self._progressed)
        pause = PAUSES[self._failed]
        self._failed += 1
        late = now - since >= self.patience * LAST_TRY or now + pause >= since + self.patience
        return None if late else pause
