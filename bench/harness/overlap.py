"""How long a room had more than one agent, from looks at who is there."""

from __future__ import annotations

import time
from collections.abc import Collection

from livekit import rtc

from client.caller import is_agent

OVERLAP_SECONDS = 1.0
"""Two agents at one time for longer than this are one too many: a recovery may still see the old one's leaving."""


class Seen:
    """The agents of one room, look by look.

    Attributes:
        identities: All that were ever seen, in the order of their coming.
        overlap: The longest time, in seconds, for which there was more than one. With looks at intervals it is too long
            by up to one interval, never too short by more than that.
    """

    def __init__(self) -> None:
        self.identities: list[str] = []
        self.overlap = 0.0
        self._since: float | None = None

    def look(self, there: Collection[str], now: float) -> None:
        """At `now` (seconds) just these agents are in the room with a track."""
        self.identities += [identity for identity in there if identity not in self.identities]
        if self._since is not None:
            self.overlap = max(self.overlap, now - self._since)
        if len(there) < 2:
            self._since = None
        elif self._since is None:
            self._since = now

    @property
    def doubled(self) -> bool:
        """Whether there was more than one for too long."""
        return self.overlap > OVERLAP_SECONDS


def publishing(room: rtc.Room) -> list[str]:
    """The agents with a track that a participant of the room sees now."""
    return [who.identity for who in room.remote_participants.values() if is_agent(who) and who.track_publications]


def watch(room: rtc.Room, seen: Seen) -> None:
    """Let `seen` look at every change of a room that isn't joined yet.

    Who is there before the join is no change: look once after it.
    """

    def look(*_: object) -> None:
        seen.look(publishing(room), time.monotonic())

    room.on("participant_connected", look)
    room.on("participant_disconnected", look)
    room.on("track_published", look)
    room.on("track_unpublished", look)
