"""Puts keys that a phone's caller presses together to what they mean to say; room_events.py feeds it."""

from __future__ import annotations

PAUSE_SECONDS = 1.5  # after which no more keys are expected
END_KEY = "#"  # ends what is entered, and is no part of it
MOST_KEYS = 64  # of one entry: more than any number that people have; it ends there
KEYS = frozenset("0123456789*#ABCD")


class Keypad:
    """What one caller is entering; times in seconds of one clock."""

    def __init__(self) -> None:
        self._keys = ""
        self.deadline: float | None = None  # when what was entered is complete, if no other key comes before

    def press(self, key: str, now: float) -> str:
        """Take a key; gives what is complete by it, empty while more may come. END_KEY alone means itself."""
        if key not in KEYS:
            return ""
        if key == END_KEY:
            return self._complete() or END_KEY
        self._keys += key
        self.deadline = now + PAUSE_SECONDS
        return self._complete() if len(self._keys) == MOST_KEYS else ""

    def paused(self, now: float) -> str:
        """What is complete because no key came for long enough; empty if nothing is."""
        return self._complete() if self.deadline is not None and now >= self.deadline else ""

    def _complete(self) -> str:
        keys, self._keys, self.deadline = self._keys, "", None
        return keys
