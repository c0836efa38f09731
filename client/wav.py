"""Reads and writes WAV files, and brings sound to one channel and one rate."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.int16]


class BadWav(Exception):
    """A file can't be used as speech; the message names the file and says what would be accepted."""


@dataclass(frozen=True)
class Sound:
    """Speech as it will be sent.

    Attributes:
        samples: 16-bit, one channel.
        rate: Samples a second.
    """

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Sound:
        """The same sound with `rate` samples a second."""
        if rate == self.rate or not len(self.samples):
            return Sound(self.samples, rate)
        return Sound(np.asarray(soxr.resample(self.samples, self.rate, rate), dtype=np.int16), rate)


def read(path: Path) -> Sound:
    """The sound in a 16-bit PCM WAV file of any rate and any number of channels, mixed to one.

    Raises BadWav when there is no such file, it is no PCM WAV, its samples aren't 16-bit, or it holds none.
    """
    try:
        with path.open("rb") as raw, wave.open(raw) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except OSError as error:
        raise BadWav(f"{path}: {error.strerror or error}") from error
    except (wave.Error, EOFError) as error:
        raise BadWav(f"{path} is no PCM WAV file ({str(error) or 'it ends too early'})") from error
    if width != 2:
        raise BadWav(f"{path} has {8 * width}-bit samples: only 16-bit PCM WAV is read")
    whole = len(data) // (2 * channels) * channels  # a truncated file may end within a frame
    if whole == 0 or rate <= 0:
        raise BadWav(f"{path} is empty: it holds no samples")
    frames = np.frombuffer(data, "<i2", count=whole).reshape(-1, channels)
    mixed = frames[:, 0] if channels == 1 else np.rint(frames.mean(axis=1))
    return Sound(mixed.astype(np.int16), rate)


def write(path: Path, sound: Sound) -> None:
    """Write a 16-bit mono PCM WAV file, over what is there."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(sound.samples.astype("<i2").tobytes())
