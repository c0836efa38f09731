"""Frames of our own that several parts of the pipeline know, and how long a frame of sound lasts."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import AudioRawFrame, SystemFrame, TranscriptionFrame


@dataclass
class NoWordsFrame(SystemFrame):
    """A stretch of the caller's sound has been listened to, and holds no words for the conversation."""


@dataclass
class UnsayableFrame(SystemFrame):
    """The agent's voice has left out words that it has no sound for."""


@dataclass
class UnsureTranscriptionFrame(TranscriptionFrame):
    """Words that may well be invented, as a model does that hears another language, or a voice in noise."""


def seconds(frame: AudioRawFrame) -> float:
    """How long the 16-bit sound of a frame lasts."""
    return len(frame.audio) / (2 * frame.num_channels * frame.sample_rate)
