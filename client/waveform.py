"""Measures from sound itself when something was heard and when it fell silent.

All times are the caller's `time.monotonic()` in seconds, of the arrival of a 10 ms frame at this program.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from client.wav import Samples, Sound

FRAME_SECONDS = 0.01
AUDIBLE_RMS = 200.0
"""Root mean square, of 32767, from which a 10 ms frame counts as sound: -44 dB, above Opus's residue of silence (< 20)
and below the softest consonant of speech at a normal level (300 and more)."""
BURST_FRAMES = 50
"""How many later frames may correct the arrival of one: a program that was busy up to 0.5 s gets frames in a burst."""

Times = NDArray[np.float64]
Loud = NDArray[np.bool_]


def levels(samples: Samples, rate: int) -> NDArray[np.float64]:
    """Root mean square of each whole 10 ms of `samples`, 0 to 32768."""
    size = round(rate * FRAME_SECONDS)
    frames = samples[: len(samples) // size * size].astype(np.float64).reshape(-1, size)
    return np.sqrt((frames * frames).mean(axis=1)) if len(frames) else np.zeros(0)


def paced(arrivals: Sequence[float]) -> Times:
    """When each frame was really there, from when this program got round to it.

    Frames are made one every 10 ms, so a frame can't be younger than a later one less the time between them: what came
    late in a burst is moved back to where it belongs. A true pause of the sender only ever makes later frames later and
    so moves nothing.
    """
    count = len(arrivals)
    if count == 0:
        return np.zeros(0)
    offset = np.asarray(arrivals, dtype=np.float64) - np.arange(count) * FRAME_SECONDS
    padded = np.concatenate([offset, np.full(BURST_FRAMES, np.inf)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, BURST_FRAMES + 1)
    return np.asarray(windows.min(axis=1) + np.arange(count) * FRAME_SECONDS, dtype=np.float64)


def spans(times: Times, loud: Loud, *, join: float) -> list[tuple[float, float]]:
    """Begin and end of each stretch of sound; silences shorter than `join` seconds belong to it."""
    found: list[tuple[float, float]] = []
    for at in times[loud]:
        if found and at - found[-1][1] < join:
            found[-1] = (found[-1][0], float(at) + FRAME_SECONDS)
        else:
            found.append((float(at), float(at) + FRAME_SECONDS))
    return found


def first_sound(times: Times, loud: Loud, after: float) -> float | None:
    """When the first sound from `after` on was heard, or None."""
    heard = times[loud & (times >= after)]
    return float(heard[0]) if len(heard) else None


def silence_onset(times: Times, loud: Loud, after: float, *, quiet: float) -> float | None:
    """When sound that was heard at `after` fell silent for at least `quiet` seconds.

    `after` itself when nothing was heard then; None when the silence isn't that long yet.
    """
    if not len(times):
        return None
    end = after
    for at in times[loud & (times >= after)]:
        if at - end >= quiet:
            return end
        end = float(at) + FRAME_SECONDS
    return end if times[-1] + FRAME_SECONDS - end >= quiet else None


def gaps(times: Times, loud: Loud, begin: float, end: float, *, longer: float) -> list[tuple[float, float]]:
    """Silences of at least `longer` seconds between two sounds within `begin` and `end`: when each began, how long."""
    inside = (times >= begin) & (times < end)
    heard = spans(times[inside], loud[inside], join=longer)
    return [(a[1], b[0] - a[1]) for a, b in itertools.pairwise(heard)]


def voiced(sound: Sound) -> tuple[float, float]:
    """Seconds into `sound` at which its first audible frame begins and its last one ends; (0, 0) for a silent one."""
    heard = np.flatnonzero(levels(sound.samples, sound.rate) >= AUDIBLE_RMS)
    if not len(heard):
        return (0.0, 0.0)
    return (float(heard[0]) * FRAME_SECONDS, float(heard[-1] + 1) * FRAME_SECONDS)


@dataclass
class Take:
    """The sound of one track as it came in: 10 ms frames, each with its arrival.

    Accuracy: a frame's time is when it left WebRTC's jitter buffer and reached this program, where a front end would
    hand it to the sound card. The threshold is met within one frame (10 ms); frames that came in a burst are moved
    back (see `paced`), so a busy program adds no more than that up to 0.5 s.
    """

    rate: int
    samples: list[Samples] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    loud: list[bool] = field(default_factory=list)

    def add(self, frame: Samples, at: float) -> bool:
        """Keep a frame of 10 ms that arrived at `at`; whether it is audible."""
        audible = bool(levels(frame, self.rate).max(initial=0.0) >= AUDIBLE_RMS)
        self.samples.append(frame)
        self.arrivals.append(at)
        self.loud.append(audible)
        return audible


def timeline(takes: Sequence[Take]) -> tuple[Times, Loud]:
    """Corrected time and audibility of every frame of all `takes`, in order of time."""
    if not takes:
        return np.zeros(0), np.zeros(0, dtype=np.bool_)
    times = np.concatenate([paced(take.arrivals) for take in takes])
    loud = np.concatenate([np.asarray(take.loud, dtype=np.bool_) for take in takes])
    order = np.argsort(times, kind="stable")
    return times[order], loud[order]


def mixed(takes: Sequence[Take], since: float) -> Sound:
    """What was heard from `since` on, with its silences, at the rate of the first take; takes that overlap add up."""
    if not takes:
        return Sound(np.zeros(0, dtype=np.int16), 16000)
    rate = takes[0].rate
    placed: list[tuple[int, Samples]] = []
    for take in takes:
        at = 0
        for time, frame in zip(paced(take.arrivals), take.samples, strict=True):
            due = round((time - since) * rate)
            # Frames follow each other without a seam unless the track really paused.
            at = due if due > at + rate // 5 or not placed else at
            if at >= 0:
                placed.append((at, frame))
            at += len(frame)
    total = max((at + len(frame) for at, frame in placed), default=0)
    sum_of_all = np.zeros(total, dtype=np.int32)
    for at, frame in placed:
        sum_of_all[at : at + len(frame)] += frame
    return Sound(np.clip(sum_of_all, -32768, 32767).astype(np.int16), rate)
