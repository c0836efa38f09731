"""Holds the agent's sound back while an agent of an earlier attempt can still be heard; call.py gives it to the track.

The dispatcher sends such an agent out beside the dispatch of this one. One that was only paused may speak on until
then. The agent's own view of its room counts: LiveKit's lists keep the participants of a dead node for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from livekit import rtc

from session.fence import earlier_identities
from session.record import Session

HOLD_SECONDS = 1.0  # the longest that this agent is held back, over the whole call: the caller must not be left alone
LOOK_SECONDS = 0.01  # between two looks


class Predecessors:
    """The agents of the earlier attempts, as this agent sees them in its room.

    Args:
        room: the job's own.
        session: as claimed.
        clock: seconds.
    """

    def __init__(self, room: rtc.Room, session: Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._room, self._clock = room, clock
        self._identities = earlier_identities(session)
        self._left = HOLD_SECONDS

    async def silent(self) -> None:
        """Return once none of them can be heard, or when all of HOLD_SECONDS has been waited."""
        if not self._audible():
            return
        began = self._clock()
        while self._audible() and self._clock() - began < self._left:  # noqa: ASYNC110 - seven events could change it
            await asyncio.sleep(LOOK_SECONDS)
        self._left -= min(self._left, self._clock() - began)

    def _audible(self) -> bool:
        if not self._identities:
            return False
        there = self._room.remote_participants
        return any(
            publication.kind == rtc.TrackKind.KIND_AUDIO and not publication.muted
            for identity in self._identities
            if identity in there
            for publication in there[identity].track_publications.values()
        )
