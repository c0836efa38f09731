"""Frames of our own that several parts of the pipeline know."""

from __future__ import annotations

from dataclasses import dataclass

from pipecat.frames.frames import SystemFrame


@dataclass
class NoWordsFrame(SystemFrame):
    """A stretch of the caller's sound has been listened to, and holds no words for the conversation."""


@dataclass
class UnsayableFrame(SystemFrame):
    """The agent's voice has left out words that it has no sound for."""
