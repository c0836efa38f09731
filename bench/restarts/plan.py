"""When to start sessions and when to restart the worker, the same for the same seed; starts and restarts nothing."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass

EACH = 10  # starts around one restart, and as many in the quiet before it
BEFORE_SECONDS = 1.0
AFTER_SECONDS = 9.0  # a worker that was restarted registers after about 6 s, later when it has died often of late
QUIET_GAP_SECONDS = 2.0  # so that a worker lives for 30 s and more, and its death is no crash loop
HOLD_SECONDS = (0.5, 4.0)  # how long a session lives after its start: a second agent would come 2 to 3 s late
KINDS = (signal.SIGTERM, signal.SIGKILL)


@dataclass(frozen=True)
class Start:
    """One start: seconds from the beginning of its cycle's quiet, or from its restart; and how long it lives then."""

    offset: float
    hold: float


@dataclass(frozen=True)
class Cycle:
    """A quiet with starts in it, then the worker's restart, by `kind`, with starts around it."""

    kind: signal.Signals
    quiet: tuple[Start, ...]
    around: tuple[Start, ...]


def cycles(starts: int, random: random.Random) -> list[Cycle]:
    """So many starts in all, half of them around restarts: by SIGTERM and by SIGKILL in turns."""
    return [
        Cycle(KINDS[number % 2], _quiet(share // 2, random), _around(share - share // 2, random))
        for number, share in enumerate(_shares(starts, 2 * EACH))
    ]


def _shares(total: int, most: int) -> Iterator[int]:
    while total > 0:
        yield min(total, most)
        total -= most


def _quiet(count: int, random: random.Random) -> tuple[Start, ...]:
    """Now and then, a little irregularly."""
    return tuple(
        Start((number + random.random()) * QUIET_GAP_SECONDS, random.uniform(*HOLD_SECONDS)) for number in range(count)
    )


def _around(count: int, random: random.Random) -> tuple[Start, ...]:
    """Half of them about the moment of the restart, half while the worker comes back."""
    offsets = [
        random.uniform(-BEFORE_SECONDS, BEFORE_SECONDS) if number % 2 == 0 else random.uniform(1.0, AFTER_SECONDS)
        for number in range(count)
    ]
    return tuple(Start(offset, random.uniform(*HOLD_SECONDS)) for offset in sorted(offsets))
