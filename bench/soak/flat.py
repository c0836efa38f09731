"""Whether something stays as it is, judged from samples of it; samples nothing."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 10  # samples: two in each fifth


@dataclass(frozen=True)
class Allowed:
    """How much something may grow from the second fifth to the last: the larger of the two.

    Attributes:
        absolute: In its own unit.
        share: Of what it was.
    """

    absolute: float
    share: float = 0.0


@dataclass(frozen=True)
class Flatness:
    """Medians of the second and the last fifth of the samples, and what growth was allowed; None: too few samples."""

    before: float | None
    after: float | None
    allowed: float

    @property
    def flat(self) -> bool | None:
        """Whether it grew no more than it may; None when nobody can say. The first fifth is warming up."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before <= self.allowed


def judged(values: Sequence[float | None], allowed: Allowed) -> Flatness:
    """What the samples say; None among them: there was nothing to measure at that time."""
    known = [value for value in values if value is not None]
    if len(known) < FEWEST:
        return Flatness(None, None, allowed.absolute)
    fifth = len(known) // 5
    before, after = statistics.median(known[fifth : 2 * fifth]), statistics.median(known[-fifth:])
    return Flatness(before, after, max(allowed.absolute, allowed.share * before))


def stayed(zombies: Sequence[Sequence[int]]) -> set[int]:
    """Process ids that were dead and unburied in two samples in a row: in one it may just have died."""
    return {pid for one, other in itertools.pairwise(zombies) for pid in one if pid in other}
