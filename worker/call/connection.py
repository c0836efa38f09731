"""Notices when nothing comes from LiveKit any more, long before its SDK does; call.py starts it for each call.

The SDK says that it reconnects 15 s after its network was cut. LiveKit sends something about twice a second, also while
nobody speaks, so a few seconds without a packet are enough to know.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from livekit import rtc

from session.record import BACK_SECONDS

LOOK_SECONDS = 1.0  # between two looks while packets come; one costs 2 ms of processor time
LOOK_AGAIN_SECONDS = 0.25  # while none do
STATS_SECONDS = 1.0  # for the SDK's answer; it takes 2 ms


@dataclass(slots=True)
class Silence:
    """How long nothing has come, by looks at the count of packets; times in seconds of one clock."""

    since: float
    packets: int | None = None
    cut_off: bool = False

    def look(self, packets: int | None, now: float) -> bool:
        """Take note of the count at `now`, None where there is none; gives whether `cut_off` has changed."""
        before = self.cut_off
        if packets is not None and packets != self.packets:  # a renewed connection counts from zero
            self.packets, self.since = packets, now
        self.cut_off = now - self.since >= BACK_SECONDS
        return self.cut_off is not before


class ConnectionWatch:
    """Looks whether LiveKit is heard of.

    Args:
        room: the job's own, connected.
        changed: told when nothing has come for BACK_SECONDS (True), and when something comes again (False).
        clock: seconds.
    """

    def __init__(
        self, room: rtc.Room, changed: Callable[[bool], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._room, self._changed, self._clock = room, changed, clock
        self._silence = Silence(clock())

    async def step(self) -> None:
        """Look once, and wait until the next look is due."""
        before = self._silence.since
        if self._silence.look(await self._packets(), self._clock()):
            self._changed(self._silence.cut_off)
        await asyncio.sleep(LOOK_SECONDS if self._silence.since != before else LOOK_AGAIN_SECONDS)

    async def _packets(self) -> int | None:
        """All packets that have come over the connections that there are now."""
        try:
            async with asyncio.timeout(STATS_SECONDS):
                stats = await self._room.get_rtc_stats()
        except (TimeoutError, RuntimeError):  # RuntimeError: the SDK says that it has no connection
            return None
        found = [*stats.publisher_stats, *stats.subscriber_stats]
        return sum(each.transport.transport.packets_received for each in found if each.HasField("transport"))
