"""Human speech to call with, cut into the things that one says in a turn."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from client import wav, waveform
from client.wav import Sound

RATE = 16000
PAUSE_SECONDS = 0.28  # cut at what a listener may take for the end; stops within words are shorter than 0.2 s
SHORTEST, LONGEST = 1.0, 6.0  # seconds of one utterance
MARGIN_SECONDS = 0.1  # kept around each, so that no soft consonant is cut off
FLOOR_RMS = 300.0  # of 32767: the recordings' own noise is below 150
ASSETS = ("two_cities.wav", "beckett.wav")  # in the package moonshine-voice: two readers, public domain texts
ALSA = Path("/usr/share/sounds/alsa")  # Debian's alsa-utils: one speaker, two words each; used where they are there


def recordings() -> list[Path]:
    """Files with human speech on this machine."""
    spec = importlib.util.find_spec("moonshine_voice")
    assert spec is not None
    assert spec.submodule_search_locations
    assets = Path(next(iter(spec.submodule_search_locations))) / "assets"
    return [assets / name for name in ASSETS] + sorted(p for p in ALSA.glob("*.wav") if p.name != "Noise.wav")


def cut(sound: Sound) -> list[Sound]:
    """The utterances in `sound`, at its silences; the too short and too long left out."""
    sound = sound.at(RATE)
    levels = waveform.levels(sound.samples, RATE)
    times = np.arange(len(levels), dtype=np.float64) * np.float64(waveform.FRAME_SECONDS)
    found = []
    for begin, end in waveform.spans(times, levels >= FLOOR_RMS, join=PAUSE_SECONDS):
        if SHORTEST <= end - begin <= LONGEST:
            first, last = max(0, int((begin - MARGIN_SECONDS) * RATE)), int((end + MARGIN_SECONDS) * RATE)
            found.append(Sound(sound.samples[first:last], RATE))
    return found


def spoken_in(path: Path) -> list[Sound]:
    """The utterances of one recording."""
    return cut(wav.read(path))


def utterances() -> list[Sound]:
    """All of them, in the same order on every machine that has the same files."""
    return [each for path in recordings() for each in spoken_in(path)]
