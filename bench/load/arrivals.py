"""When callers call: seconds from the beginning, the same for the same seed."""

from __future__ import annotations

import math
import random


def burst(count: int) -> list[float]:
    """`count` callers at the same instant."""
    return [0.0] * count


def poisson(rate: float, minutes: float, random: random.Random) -> list[float]:
    """Callers who know nothing of each other: `rate` a minute on average, for `minutes`."""
    found: list[float] = []
    at = random.expovariate(rate / 60)
    while at < minutes * 60:
        found.append(at)
        at += random.expovariate(rate / 60)
    return found


def ramp(count: int, minutes: float) -> list[float]:
    """`count` callers within `minutes`, ever closer together: the rate grows steadily from nothing."""
    return [minutes * 60 * math.sqrt(number / count) for number in range(count)]
