"""Which of a call's candidates does the work at hand, after some have failed; llm.py, stt.py and tts.py ask it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pipeline.fallback.candidates import OPEN_SECONDS, Candidate, Circuits, choose
from pipeline.fallback.retries import PAUSES

S = TypeVar("S")

REST_SECONDS = OPEN_SECONDS  # for which a call leaves alone a provider that failed it, while it has another


@dataclass(slots=True)
class Lineup(Generic[S]):
    """The candidates of one call and what has become of them. Times are seconds of one monotonic clock.

    Attributes:
        candidates: in order.
        circuits: told of each failure and success.
        patience: seconds from the first failure of a piece of work until it is given up.
    """

    candidates: Sequence[Candidate[S]]
    circuits: Circuits
    patience: float
    _broken: set[str] = field(default_factory=set)
    _failed_at: dict[str, float] = field(default_factory=dict)
    _tried: set[str] = field(default_factory=set)
    _doubted: set[str] = field(default_factory=set)
    _rounds: int = 0
    _began: float | None = None

    def first(self, now: float) -> Candidate[S]:
        """Who begins."""
        return self._choose(now, set()) or self.candidates[0]

    def pick(self, now: float) -> Candidate[S] | None:
        """Who does the work at hand: nobody twice in a round; None: all of them have tried it."""
        return self._choose(now, self._broken | self._tried)

    def other(self, current: Candidate[S], now: float) -> Candidate[S] | None:
        """Who else could do the work that one in use has not done yet."""
        return self._choose(now, self._broken | self._tried | {current.key})

    def has_other(self, current: Candidate[S]) -> bool:
        """Whether another could do the work at hand; begins no trial of a circuit."""
        return any(each.key not in self._broken | self._tried | {current.key} for each in self.candidates)

    def _choose(self, now: float, gone: set[str]) -> Candidate[S] | None:
        resting = {key for key, at in self._failed_at.items() if now - at < REST_SECONDS}
        return choose(self.candidates, self.circuits, now, left=gone | resting) or choose(
            self.candidates, self.circuits, now, left=gone
        )

    def failed(self, candidate: Candidate[S], now: float, *, permanent: bool = False, at_fault: bool = True) -> None:
        """A candidate could not do the work at hand.

        Args:
            candidate: which.
            now: seconds.
            permanent: it never will in this call.
            at_fault: False if the work may be such that nobody can do it; whether it is, the others show.
        """
        self._tried.add(candidate.key)
        if at_fault:
            self._blame(candidate.key, now)
        else:
            self._doubted.add(candidate.key)
        if permanent:
            self._broken.add(candidate.key)
        if self._began is None:
            self._began = now

    def worked(self, candidate: Candidate[S], now: float) -> None:
        """The work at hand is done; so it can be done."""
        self.circuits.worked(candidate.key, now)
        for key in self._doubted - {candidate.key}:
            self._blame(key, now)
        self.give_up()

    def give_up(self) -> None:
        """The work at hand is no longer wanted; the next is a new one."""
        self._tried.clear()
        self._doubted.clear()
        self._began, self._rounds = None, 0

    def _blame(self, key: str, now: float) -> None:
        self.circuits.failed(key, now)
        self._failed_at[key] = now

    def again(self) -> bool:
        """All have tried the work at hand, and may try it again; False: none of them will ever do it in this call."""
        self._tried.clear()
        return any(each.key not in self._broken for each in self.candidates)

    def pause(self, now: float) -> float | None:
        """All have tried the work at hand: seconds until they may try again; None: they are used up."""
        if self._rounds >= len(PAUSES):
            return None
        pause = PAUSES[self._rounds]
        if now + pause >= (now if self._began is None else self._began) + self.patience:
            return None
        self._rounds += 1
        return pause if self.again() else None

    def prefers(self, current: Candidate[S], now: float) -> Candidate[S]:
        """Who does new work: the first that may; one before the one in use when its rest is over."""
        gone = self._broken | self._tried
        gone |= {key for key, at in self._failed_at.items() if now - at < REST_SECONDS}
        may = (each for each in self.candidates if each is current or each.key not in gone)
        return next((each for each in may if self.circuits.allows(each.key, now)), current)
