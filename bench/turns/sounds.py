"""What people say to the two ways of ending a turn: whole utterances, and hesitations within them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from bench.harness.speech import RATE, utterances
from client.wav import Samples, Sound
from client.waveform import FRAME_SECONDS, levels, voiced

LEAD_SECONDS = 0.5  # of a quiet room before the first word
HESITATION_SECONDS = 0.5  # for the next word; from 0.8 on no answer within a second can be told from one too early
HESITATES_FROM = 1.6  # seconds an utterance must have to be broken in two places
BREAKS = ((0.25, 0.5), (0.5, 0.75))  # where, as a share of the utterance: at the quietest place in each
NOISE = 20.0  # root mean square of 32767: a quiet room, -64 dB
OPUS_RATE, OPUS_BITS = 48_000, 24_000

Floats = NDArray[np.float32]
Path = Callable[[Samples], Samples]


@dataclass(frozen=True)
class Said:
    """Something to say.

    Attributes:
        path: How it reaches the agent.
        samples: 16-bit at `RATE`.
        ended: Seconds from its beginning to the end of the last sound.
        hesitates: It has a pause in the middle, in which nobody ought to answer.
    """

    path: str
    samples: Samples
    ended: float
    hesitates: bool


def everything(*, quick: bool = False) -> list[Said]:
    """All utterances over all paths, then the hesitations; of each kind two where it must be quick."""
    clips = [sound.samples for sound in utterances()]
    broken = [each for clip in clips if len(clip) >= HESITATES_FROM * RATE for each in hesitations(clip)]
    if quick:
        clips, broken = clips[:2], broken[:2]
    whole = [_said(path, clip, hesitates=False) for path in PATHS for clip in clips]
    return whole + [_said("opus", clip, hesitates=True) for clip in broken]


def hesitations(clip: Samples) -> list[Samples]:
    """The utterance with a pause at its quietest place in each of `BREAKS`."""
    loud = levels(clip, RATE)
    near = np.convolve(loud, np.ones(5) / 5, mode="same")  # a stop within a word is shorter than 50 ms
    found = []
    for begin, end in BREAKS:
        first, last = int(begin * len(near)), int(end * len(near))
        at = int((first + int(np.argmin(near[first:last]))) * FRAME_SECONDS * RATE)
        pause = np.zeros(int(HESITATION_SECONDS * RATE), dtype=np.int16)
        found.append(np.concatenate([clip[:at], pause, clip[at:]]))
    return found


def _said(path: str, clip: Samples, *, hesitates: bool) -> Said:
    quiet = np.zeros(int(LEAD_SECONDS * RATE), dtype=np.int16)
    samples = PATHS[path](np.concatenate([quiet, clip]))
    _, end = voiced(Sound(clip, RATE))
    return Said(path, samples, LEAD_SECONDS + end, hesitates)


def room(samples: Samples) -> Samples:
    """A microphone in a quiet room: the same noise each time."""
    noise = np.random.default_rng(0).standard_normal(len(samples)) * NOISE
    return np.asarray((samples + noise).clip(-32768, 32767), dtype=np.int16)


def opus(samples: Samples) -> Samples:
    """Coded and decoded as a browser's call is."""
    wide = soxr.resample(_floats(room(samples)), RATE, OPUS_RATE)
    packed = io.BytesIO()
    with av.open(packed, "w", format="ogg") as out:
        stream = out.add_stream("libopus", rate=OPUS_RATE)
        stream.layout = "mono"
        stream.bit_rate = OPUS_BITS
        frame = av.AudioFrame.from_ndarray(_ints(wide)[None], format="s16", layout="mono")
        frame.sample_rate = OPUS_RATE
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    packed.seek(0)
    plain = av.AudioResampler(format="s16", layout="mono", rate=OPUS_RATE)
    with av.open(packed, "r") as back:
        heard = [each.to_ndarray()[0] for frame in back.decode(audio=0) for each in plain.resample(frame)]
    return _ints(soxr.resample(_floats(np.concatenate(heard)), OPUS_RATE, RATE))[: len(samples)]


def telephone(samples: Samples) -> Samples:
    """What is left of it at 8 kHz."""
    return _ints(soxr.resample(soxr.resample(_floats(room(samples)), RATE, 8000), 8000, RATE))


def _floats(samples: Samples) -> Floats:
    return np.asarray(samples / 32768, dtype=np.float32)


def _ints(samples: Floats) -> Samples:
    return np.asarray((samples * 32767).clip(-32768, 32767), dtype=np.int16)


PATHS: dict[str, Path] = {"file": lambda samples: samples, "opus": opus, "telephone": telephone}
