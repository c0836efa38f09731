"""The clock of the caller's wait for an answer: when something must be heard, and what; answer_deadline.py asks it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

AT_WORK_SECONDS = 15.0  # between two sentences that a tool is still at work
EARLY_SECONDS = 0.5  # before the bound: a sentence takes as long to begin
VOICE_SECONDS = 2.0  # for the agent's voice to begin; then a sentence that was made beforehand is played


class Filler(StrEnum):
    """What is said while the answer isn't there."""

    MOMENT = "moment"  # a sentence that was made beforehand
    AT_WORK = "at_work"  # the agent's own, that a tool is still at work


@dataclass(slots=True)
class AnswerWait:
    """What the caller hears, and for how long it hears nothing. Times are seconds of one monotonic clock.

    Attributes:
        bound: the longest silence while an answer is owed.
    """

    bound: float
    _turn_ended: float | None = None
    _waits_since: float = 0.0
    _heard_until: float = 0.0
    _filled_until: float = 0.0
    _at_work: float | None = None
    _filled_at_work: float | None = None

    def turn_ends(self, now: float) -> None:
        """The caller is silent after it spoke, or after a sound of it."""
        self._turn_ended = now
        self._filled_until = max(self._filled_until, now)

    def turn_begins(self) -> None:
        """The caller speaks: it waits for nothing."""
        self._turn_ended = None

    def asked(self, now: float, *, waiting: bool) -> None:
        """The LLM is asked. `waiting`: for an answer that the caller waits for already, such as after a tool."""
        if not waiting or now - max(self.since, self._filled_until) > self.bound:
            ended = now if self._turn_ended is None else self._turn_ended
            self._waits_since = max(ended, now - self.bound / 2)  # one that ended before that was no question
            self._at_work = self._filled_at_work = None
        self._turn_ended = None

    def heard(self, until: float) -> None:
        """The agent's voice is heard, until then."""
        self._heard_until = max(self._heard_until, until)

    def filled(self, now: float, until: float, filler: Filler, *, tool: bool) -> None:
        """A filler was begun; `until`: when one that was made beforehand has been played."""
        self._filled_until = max(self._filled_until, until)
        if filler is Filler.AT_WORK:
            self._at_work = now
        if tool:
            self._filled_at_work = now

    @property
    def mute(self) -> bool:
        """Whether nothing has been heard of the answer yet."""
        return self._heard_until <= self._waits_since

    @property
    def since(self) -> float:
        """Since when the caller has heard nothing of its answer; in the future while it hears some."""
        return max(self._waits_since, self._heard_until)

    def next(self, *, tool: bool) -> tuple[float, Filler]:
        """When the next filler is due, and which. `tool`: a tool is running."""
        due = max(self.since, self._filled_until) + self.bound - EARLY_SECONDS
        if not tool:
            return due, Filler.MOMENT
        if self._at_work is not None and self._at_work >= max(self._heard_until, self._filled_until):
            return self._at_work + VOICE_SECONDS, Filler.MOMENT
        if self._filled_at_work is not None:
            due = max(due, self._filled_at_work + AT_WORK_SECONDS)
        return due, Filler.AT_WORK
