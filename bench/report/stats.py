"""Medians, spread and verdicts of measured figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must reach: at most `at_most`, at the median (p50) or at another percentile."""

    at_most: float
    of: str = "p50"


@dataclass(slots=True)
class Figure:
    """One figure of the table: values of ours, and of a process per call where that has one.

    Attributes:
        targets: What ours must reach.
        times_better: How many times less than theirs ours must be, at the medians.
    """

    name: str
    unit: str
    targets: Sequence[Target] = ()
    times_better: float | None = None
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """How many times less ours is, at the medians."""
        if not self.ours or not self.theirs or statistics.median(self.ours) == 0:
            return None
        return statistics.median(self.theirs) / statistics.median(self.ours)

    @property
    def met(self) -> bool | None:
        """Whether every target is met; None where there is none, or what it speaks of was not measured."""
        if not self.ours or not (self.targets or self.times_better):
            return None
        if not all(percentile(self.ours, target.of) <= target.at_most for target in self.targets):
            return False
        if self.times_better is None:
            return True
        return None if self.ratio is None else self.ratio >= self.times_better


def percentile(values: Sequence[float], which: str) -> float:
    """`p50`, `p95`, `p99` and so on of the values: the median, else the smallest value that so many don't exceed."""
    if which == "p50":
        return statistics.median(values)
    rank = math.ceil(int(which[1:]) / 100 * len(values))
    return sorted(values)[max(0, rank - 1)]


def summary(values: Sequence[float]) -> dict[str, float]:
    """What is written down of a figure."""
    if not values:
        return {"count": 0}
    found = {which: round(percentile(values, which), 4) for which in ("p50", "p95", "p99")}
    return {"count": len(values), "min": round(min(values), 4), "max": round(max(values), 4), **found}
