"""How much of what the microphone gave is the agent's own sound, as a loudspeaker gives it back; not_own.py asks.

A loudspeaker, a room and two codecs change the agent's sound, but little more than a filter of 20 ms would. In
simulated rooms (delays of 0.1 to 0.5 s, -12 to -34 dB, Opus) such a filter explains 0.5 to 0.95 of an echo's energy, of
a human voice's at most 0.42, and of a mixture's at most 0.56.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32 | np.float64]

RATE = 4000  # Hz; most of a voice's energy is below half of that
KEPT_SECONDS = 16.0  # longer than the longest piece that is transcribed at once
DELAY_SECONDS = 1.0  # the longest way from the agent's track through a loudspeaker back to us
LOOKED_AT_SECONDS = 1.5  # of a stretch of sound; more says nothing new
TAPS = 80  # 20 ms: the direct way and the first reflections
LEAD = TAPS // 4  # of them lie before the strongest one
REGULAR = 1e-3  # of the sound's power, so that a hum doesn't make the filter arbitrary
FAINT = 0.05  # of the agent's loudest stretch: fainter ones are not compared


class Timeline:
    """The last seconds of one side's sound, by the clock's seconds.

    Args:
        rate: Samples a second of the 16-bit mono sound that is put in; a multiple of RATE.
    """

    def __init__(self, rate: int) -> None:
        self._step = rate // RATE
        self._chunks: deque[tuple[float, Sound]] = deque()

    def put(self, pcm: bytes, at: float) -> None:
        """This sound begins in the clock's second `at`."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        samples = samples[: samples.size // self._step * self._step].reshape(-1, self._step).mean(axis=1)
        self._chunks.append((at, samples))
        while self._chunks[0][0] < at - KEPT_SECONDS:
            self._chunks.popleft()

    def cut(self, at: float) -> None:
        """What was to sound after this second never did."""
        while self._chunks and self._chunks[-1][0] >= at:
            self._chunks.pop()
        if self._chunks:
            begin, samples = self._chunks[-1]
            self._chunks[-1] = begin, samples[: round((at - begin) * RATE)]

    @property
    def end(self) -> float:
        """The clock's second in which the newest sound ends; 0.0 if there was none."""
        if not self._chunks:
            return 0.0
        begin, samples = self._chunks[-1]
        return begin + samples.size / RATE

    def between(self, begin: float, end: float) -> Sound:
        """What sounded between two seconds of the clock; silence where nothing did."""
        found = np.zeros(max(0, round((end - begin) * RATE)), np.float64)
        for at, samples in self._chunks:
            first = round((at - begin) * RATE)
            part = samples[max(0, -first) : max(0, found.size - first)]
            found[max(0, first) : max(0, first) + part.size] = part
        return found


def explained(heard: Sound, played: Sound) -> float:
    """The share of what was heard that is what was played, after some delay and through some filter.

    Args:
        heard: Sound at RATE; its first 1.5 s are looked at.
        played: Sound at RATE that begins DELAY_SECONDS earlier and ends with it.

    Returns:
        From 0.0 (another sound, or silence) to 1.0.
    """
    size = min(heard.size, played.size - round(DELAY_SECONDS * RATE), round(LOOKED_AT_SECONDS * RATE))
    if size <= 2 * TAPS:
        return 0.0
    heard = heard[:size] - heard[:size].mean()
    played = played[: size + round(DELAY_SECONDS * RATE)]
    power = float(heard @ heard)
    if power <= 0.0 or not played.any():
        return 0.0
    first = _alignment(heard, played) + LEAD
    padded = np.concatenate([np.zeros(TAPS), played, np.zeros(LEAD)])
    columns = np.stack([padded[TAPS + first - tap : TAPS + first - tap + size] for tap in range(TAPS)], axis=1)
    matrix = columns.T @ columns
    matrix[np.diag_indices(TAPS)] += REGULAR * np.trace(matrix) / TAPS + 1e-12
    rest = heard - columns @ np.linalg.solve(matrix, columns.T @ heard)
    return max(0.0, 1.0 - float(rest @ rest) / power)


def _alignment(heard: Sound, played: Sound) -> int:
    """At which sample of what was played it is most like what was heard."""
    places = played.size - heard.size + 1
    bins = 1 << (played.size + heard.size).bit_length()
    spectrum = np.fft.rfft(played, bins) * np.conj(np.fft.rfft(heard, bins))
    likeness = np.abs(np.fft.irfft(spectrum, bins)[:places])
    energy = np.concatenate([[0.0], np.cumsum(np.square(played))])
    level = np.sqrt(np.maximum(0.0, energy[heard.size :] - energy[: -heard.size]))
    return int(np.argmax(likeness / (level + FAINT * level.max() + 1e-12)))
