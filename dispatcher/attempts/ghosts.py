"""Sends the agents of earlier attempts out of their room, beside all else; executor.py and the slow loop ask for it.

A ghost whose LiveKit node has died stays in LiveKit's lists, and nothing that is asked about it is answered. So nobody
waits for a ghost to be gone.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from dispatcher.errors import LiveKitUnavailable
from dispatcher.livekit.participants import is_ghost
from dispatcher.livekit.port import Participant, Rooms
from dispatcher.observe.metrics import Metrics
from runtime.background import Background, Finished, keep_going
from session.record import Session
from session.timing import SUCCESSOR_SHOWN_SECONDS

PAUSE_SECONDS = 0.05  # between two looks whether it is gone
GIVE_UP_SECONDS = 10.0  # for all of it; the slow loop begins anew where a ghost is still seen

_log = logging.getLogger("dispatcher")


class Ghosts:
    """The ghosts of all sessions.

    Args:
        rooms: LiveKit.
        metrics: where to count.
        give_up_seconds: for one session's ghosts to be gone.
    """

    def __init__(self, rooms: Rooms, metrics: Metrics, give_up_seconds: float = GIVE_UP_SECONDS) -> None:
        self._rooms, self._metrics, self._give_up_seconds = rooms, metrics, give_up_seconds
        self._tasks = Background("dispatcher")
        self._under_way: set[tuple[str, int]] = set()

    def send_out(self, session: Session) -> None:
        """Begin to send out the agents of the attempts before this session's current one; returns at once."""
        key = (session.id, session.attempt)
        if session.attempt > 1 and key not in self._under_way:
            self._under_way.add(key)
            task = self._tasks.start(self._until_gone(session), "ghosts")
            task.add_done_callback(lambda _: self._under_way.discard(key))

    async def settled(self) -> None:
        """Return when all that was begun is done, or given up."""
        await self._tasks.settled()

    async def _until_gone(self, session: Session) -> None:
        try:
            async with asyncio.timeout(self._give_up_seconds):
                await keep_going(lambda: self._step(session), "ghosts", owner="dispatcher", pause=PAUSE_SECONDS)
        except TimeoutError:
            _log.warning("session=%s event=ghost_stays attempt=%d", session.id, session.attempt)

    async def _step(self, session: Session) -> None:
        """Ask every ghost that there is to go. Raises Finished: there is none."""
        with suppress(LiveKitUnavailable):
            ghosts = [each for each in await self._rooms.participants(session.room) if is_ghost(session, each)]
            if not ghosts:
                raise Finished
            await asyncio.gather(*(self._send_out(session.room, ghost) for ghost in ghosts))

    async def _send_out(self, room: str, ghost: Participant) -> None:
        """Silence it first: it may only have been paused, and go on speaking at any moment."""
        with suppress(LiveKitUnavailable):
            await asyncio.gather(
                self._rooms.mark_ghost(room, ghost.identity),
                *(self._rooms.mute(room, ghost.identity, track) for track in ghost.unmuted),
            )
            await asyncio.sleep(SUCCESSOR_SHOWN_SECONDS)
        with suppress(LiveKitUnavailable):
            await self._rooms.remove(room, ghost.identity)
            self._metrics.ghost_removed()
