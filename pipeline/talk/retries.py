"""Decides whether the LLM is asked again after an error, within the caller's patience; conversation.py asks it."""

from __future__ import annotations

from dataclasses import dataclass

PAUSES = (0.2, 0.5, 1.0, 1.5, 2.0, 2.5)  # seconds before each further try
LAST_TRY = 0.75  # of the patience: after an error that came later, such as a timeout, another try would end too late


@dataclass(slots=True)
class Retries:
    """The tries of one answer. Times are seconds of one monotonic clock.

    Attributes:
        patience: seconds after the first try within which the caller must hear something.
        asked: how often the LLM was asked, over the whole conversation.
    """

    patience: float
    asked: int = 0
    _began: float | None = None
    _failed: int = 0
    _messages: int = 0

    def ask(self, now: float, messages: int) -> None:
        """The LLM is asked about so many messages: something new, or the same again."""
        self.asked += 1
        if self._began is None or messages != self._messages:
            self._began, self._failed = now, 0
        self._messages = messages

    def over(self) -> None:
        """The answer is heard: the next one has all its tries."""
        self._began = None

    def pause(self, now: float) -> float | None:
        """Seconds to wait before the LLM is asked again after an error; None: the caller has waited long enough."""
        if self._failed >= len(PAUSES):
            return None
        pause = PAUSES[self._failed]
        self._failed += 1
        began = now if self._began is None else self._began
        late = now - began >= self.patience * LAST_TRY or now + pause >= began + self.patience
        return None if late else pause
