"""Recordings that come with the locked packages: human speech with its words, and sound without any words."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]

RATE = 16_000  # Hz, what a call hears
GENERATED_SECONDS = 10

TWO_CITIES = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season
of darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing before
us, we were all going direct to heaven, we were all going direct the other way. In short, the period was so far like the
present period, that some of its noisiest authorities insisted on its being received, for good or for evil, in the
superlative degree of comparison only."""
BECKETT = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."


@dataclass(frozen=True)
class Reading:
    """A human who says known words; samples at RATE."""

    name: str
    text: str
    samples: Samples


def readings() -> list[Reading]:
    """The recordings of human speech whose words are published."""
    assets = _package("moonshine_voice") / "assets"
    return [
        Reading(name, text, load(assets / f"{name}.wav"))
        for name, text in (("two_cities", TWO_CITIES), ("beckett", BECKETT))
    ]


def wordless() -> Mapping[str, Samples]:
    """Music, typing, ambience, the keys of a phone, jingles and generated noise, by name; samples at RATE.

    LiveKit's `crowded-room` is left out: people talk in it.
    """
    livekit, pipecat = _package("livekit.agents") / "resources", _package("pipecat") / "audio" / "dtmf"
    paths = [path for path in livekit.glob("*.ogg") if path.stem != "crowded-room"]
    paths += [
        *pipecat.glob("*.wav"),
        *(_package("moonshine_voice") / "assets" / f"{n}.wav" for n in ("success", "error")),
    ]
    return {path.stem: load(path) for path in sorted(paths)} | _generated()


def load(path: Path) -> Samples:
    """The sound in a file of any format, mixed to one channel; samples at RATE from -1 to 1."""
    with av.open(str(path)) as file:
        resampler = av.AudioResampler(format="flt", layout="mono")
        frames = [made.to_ndarray()[0] for frame in file.decode(audio=0) for made in resampler.resample(frame)]
        rate = file.streams.audio[0].rate
    return np.asarray(soxr.resample(np.concatenate(frames), rate, RATE), dtype=np.float32)


def through(samples: Samples, rate: int) -> Samples:
    """The same as it comes from a device that samples at `rate`: what is above half of it is gone."""
    narrow = soxr.resample(samples, RATE, rate)
    return np.asarray(soxr.resample(narrow, rate, RATE), dtype=np.float32)


def _generated() -> dict[str, Samples]:
    random, t = np.random.default_rng(0), np.arange(GENERATED_SECONDS * RATE) / RATE
    noise = random.standard_normal(t.size)
    notes = np.repeat([261.6, 329.6, 392.0, 523.3, 392.0, 329.6], RATE // 2)
    melody = np.sin(2 * np.pi * np.cumsum(np.resize(notes, t.size)) / RATE)
    sounds = {
        "silence": 0 * t,
        "white noise": 0.1 * noise,
        "faint noise": 1e-3 * noise,
        "hum": 0.2 * np.sin(2 * np.pi * 50 * t),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * t),
        "melody": 0.4 * melody * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)),
    }
    return {name: np.clip(sound, -1, 1).astype(np.float32) for name, sound in sounds.items()}


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))
