"""Decides which of the caller's tracks the agent hears; room_events.py asks at each change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from livekit import rtc


class Publication(Protocol):
    """As much of rtc.RemoteTrackPublication as is looked at."""

    @property
    def kind(self) -> rtc.TrackKind.ValueType:
        """Sound or picture."""

    @property
    def source(self) -> rtc.TrackSource.ValueType:
        """Where it comes from, as the sender says."""

    @property
    def muted(self) -> bool:
        """Whether it is silent for now."""


P = TypeVar("P", bound=Publication)


def heard(publications: Iterable[P]) -> P | None:
    """The track to hear: the microphone before anything else, one that is not muted before one that is.

    The sound of a shared screen is never heard: it is not the caller's voice.

    Args:
        publications: the caller's, in the order in which they were published.

    Returns:
        One of them; None: there is none to hear.
    """
    sounds = [
        each
        for each in publications
        if each.kind == rtc.TrackKind.KIND_AUDIO and each.source != rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
    ]
    return min(sounds, key=lambda each: (each.muted, each.source != rtc.TrackSource.SOURCE_MICROPHONE), default=None)
