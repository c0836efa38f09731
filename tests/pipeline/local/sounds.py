"""Sounds that hold no words, and the human recordings in a wheel; knows nothing of what is tested with them."""

import importlib.util
import wave
from pathlib import Path

import numpy as np
import soxr

RATE = 16_000


def recording(name: str) -> np.ndarray:
    spec = importlib.util.find_spec("moonshine_voice")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    with wave.open(str(Path(spec.submodule_search_locations[0]) / "assets" / f"{name}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        return soxr.resample(samples, file.getframerate(), RATE)


def without_words() -> dict[str, np.ndarray]:
    random, t = np.random.default_rng(0), np.arange(3 * RATE) / RATE
    noise = random.standard_normal(t.size)
    chord = sum(np.sin(2 * np.pi * f * t) for f in (261, 329, 392, 523)) / 4
    notes = (261, 293, 329, 349, 392, 440, 493, 523, 493, 440, 392, 349)
    beat = t[: RATE // 4]
    dial = 0.3 * (np.sin(2 * np.pi * 697 * t) + np.sin(2 * np.pi * 1209 * t))
    sounds = {
        "silence": np.zeros(t.size),
        "faint noise": noise * 1e-3,
        "noise": noise * 0.1,
        "clipped noise": np.sign(noise),
        "hum": 0.2 * np.sin(2 * np.pi * 50 * t),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * t),
        "clipped tone": np.sign(np.sin(2 * np.pi * 200 * t)),
        "chord": chord,
        "melody": np.concatenate([np.sin(2 * np.pi * f * beat) * np.exp(-4 * beat) for f in notes]),
        "trembling chord": chord * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)),
        "constant": np.full(t.size, 0.5),
        "constant with noise": 0.5 + 0.01 * noise,
        "clicks": (random.random(t.size) < 0.001) * 1.0,
        "bursts of noise": 0.3 * noise * (np.sin(2 * np.pi * 3 * t) > 0.3),
        "rising tone": 0.5 * np.sin(2 * np.pi * (200 * t + 400 * t * t)),
        "dialling tones": dial * (np.sin(4 * np.pi * t) > 0),
        "no numbers": np.full(t.size, np.nan),
        "a jingle": recording("success"),
        "another jingle": recording("error"),
    }
    return {name: np.clip(sound, -1, 1).astype(np.float32) for name, sound in sounds.items()}


def without_pauses(samples: np.ndarray, longest: float = 0.15) -> np.ndarray:
    """Speech whose silences are cut to so many seconds: shorter than what a voice detector takes for a pause."""
    frame = RATE // 100
    frames = samples[: samples.size // frame * frame].reshape(-1, frame)
    quiet, kept = 0, []
    for each in frames:
        quiet = quiet + 1 if np.sqrt(np.mean(each**2)) < 0.01 else 0
        if quiet <= longest * 100:
            kept.append(each)
    return np.concatenate(kept)
