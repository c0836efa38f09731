"""Where long sound is cut into pieces that a model can hear one by one; stt.py and providers/in_pieces.py use it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

LONGEST_SECONDS = 12.0  # attention grows with the square of the length
PAUSE_SECONDS = 0.1  # the window in which sound may be cut
EARLIEST_SECONDS = 4.0  # speech that goes on isn't cut before: a model hears less in short pieces
QUIET = 0.05  # of a piece's own level: a window below is a pause between words; within words it is 0.1 and more


def pieces(samples: Samples, rate: int, longest: float = LONGEST_SECONDS) -> list[Samples]:
    """Cut long sound where it is quietest in the second half of each piece.

    Args:
        samples: Sound from -1 to 1.
        rate: Samples a second.
        longest: Seconds a piece may last.

    Returns:
        The pieces in order; together they are the whole sound.
    """
    found = []
    most = int(longest * rate)
    while samples.size > most:
        cut, _ = _quietest(samples[:most], rate)
        found.append(samples[:cut])
        samples = samples[cut:]
    return [*found, samples]


def seam(samples: Samples, rate: int) -> int | None:
    """Where speech that still goes on can be cut by now.

    Args:
        samples: The sound so far, of any scale.
        rate: Samples a second.

    Returns:
        How many samples are a piece: up to a pause between words once there are 4 s, up to the quietest place once
        there are 12 s; None while there is no such place.
    """
    if samples.size < EARLIEST_SECONDS * rate:
        return None
    samples = samples[: int(LONGEST_SECONDS * rate)]
    cut, level = _quietest(samples, rate)
    paused = level < QUIET * float(np.sqrt(np.mean(np.square(samples))))
    return cut if paused or samples.size >= int(LONGEST_SECONDS * rate) else None


def _quietest(samples: Samples, rate: int) -> tuple[int, float]:
    """The middle of the quietest window in the second half of some sound, and the level there."""
    window = int(PAUSE_SECONDS * rate)
    half = samples[samples.size // 2 :]
    frames = half[: half.size // window * window].reshape(-1, window)
    levels = np.mean(np.square(frames), axis=1)
    quietest = int(np.argmin(levels))
    return samples.size // 2 + quietest * window + window // 2, float(np.sqrt(levels[quietest]))
