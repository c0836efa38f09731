"""Frames of our own that several parts of the pipeline know."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import SystemFrame, TranscriptionFrame


@dataclass
class NoWordsFrame(SystemFrame):
    """A stretch of the caller's sound has been listened to, and holds no words for the conversation."""


@dataclass
class UnsayableFrame(SystemFrame):
    """The agent's voice has left out words that it has no sound for."""


@dataclass
class UnsureTranscriptionFrame(TranscriptionFrame):
    """Words that may well be invented, as a model does that hears another language, or a voice in noise."""
