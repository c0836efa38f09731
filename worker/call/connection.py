"""Notices when LiveKit answers no more, long before its SDK does; call.py starts it for each call.

The SDK says that it reconnects 15 s after its network was cut. But it asks the server at least every 2.5 s whether it
is there (ICE), and twice a second once an answer is missing. So a few seconds without an answer are enough to know,
also where only one direction is cut.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from livekit import rtc

from session.record import BACK_SECONDS

LOOK_SECONDS = 1.0  # between two looks; one costs 2 ms of processor time
LOOK_AGAIN_SECONDS = 0.25  # once an answer is overdue
OVERDUE_SECONDS = 3.0
PAUSED_SECONDS = 2.5  # between two looks: this process, or its machine, stood still meanwhile, and could hear nobody
STATS_SECONDS = 1.0  # for the SDK's answer; it takes 2 ms


@dataclass(slots=True)
class Silence:
    """How long no answer has come, by looks at their count; times in seconds of one clock."""

    since: float
    answers: int | None = None
    cut_off: bool = False
    looked: float | None = None

    def look(self, answers: int | None, now: float) -> bool:
        """Take note of the count at `now`, None where there is none; gives whether `cut_off` has changed."""
        before = self.cut_off
        paused = 0.0 if self.looked is None else now - self.looked
        self.looked = now
        if paused > PAUSED_SECONDS:
            self.since += paused
        if answers is not None and answers != self.answers:  # a renewed connection counts from zero
            self.answers, self.since = answers, now
        self.cut_off = now - self.since >= BACK_SECONDS
        return self.cut_off is not before


class ConnectionWatch:
    """Looks whether LiveKit answers.

    Args:
        room: the job's own, connected.
        changed: told when no answer has come for BACK_SECONDS (True), and when one comes again (False).
        clock: seconds.
    """

    def __init__(
        self, room: rtc.Room, changed: Callable[[bool], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._room, self._changed, self._clock = room, changed, clock
        self._silence = Silence(clock())

    async def step(self) -> None:
        """Look once, and wait until the next look is due."""
        answers, now = await self._answers(), self._clock()
        if self._silence.look(answers, now):
            self._changed(self._silence.cut_off)
        await asyncio.sleep(LOOK_SECONDS if now - self._silence.since < OVERDUE_SECONDS else LOOK_AGAIN_SECONDS)

    async def _answers(self) -> int | None:
        """All answers that have come over the connections that there are now."""
        try:
            async with asyncio.timeout(STATS_SECONDS):
                stats = await self._room.get_rtc_stats()
        except (TimeoutError, RuntimeError):  # RuntimeError: the SDK says that it has no connection
            return None
        found = [*stats.publisher_stats, *stats.subscriber_stats]
        pairs = [each.candidate_pair.candidate_pair for each in found if each.HasField("candidate_pair")]
        return sum(pair.responses_received for pair in pairs)
