"""Bounds what a caller may send: the size of a text, messages a second, work that waits; room_events.py asks it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator
from typing import Protocol, Self

from livekit import rtc

logger = logging.getLogger(__name__)

MAX_STREAM_BYTES = 4 * 1024 * 1024  # of any one stream once it is unpacked: LiveKit's SDK ends a larger one
MAX_TEXT_BYTES = 16 * 1024  # of one typed message; 4,000 characters of any script fit
READ_SECONDS = 10.0  # for one message, or the sound from before the agent came, to arrive whole
PER_SECOND = 5.0  # messages that one caller may type
BURST = 10  # messages at once after a pause
PENDING = 20  # messages of one caller being read or handed over
SAY_SECONDS = 60.0  # between two log lines about what was dropped


class TextStream(Protocol):
    """As much of rtc.TextStreamReader as is used."""

    @property
    def info(self) -> rtc.TextStreamInfo:
        """What the sender says of it."""

    def __aiter__(self) -> AsyncIterator[str]:
        """Its chunks."""

    def close(self) -> None:
        """Take nothing more of it."""


def limit_streams(room: rtc.Room) -> None:
    """Let `room`, once it connects, end every stream larger than MAX_STREAM_BYTES, before it is kept.

    livekit-agents connects the room and leaves no way to give this option. Compressed streams count as unpacked.
    """
    connect = room.connect

    @functools.wraps(connect)
    async def limited(url: str, token: str, options: rtc.RoomOptions | None = None) -> None:
        options = options or rtc.RoomOptions()
        options.data_stream = rtc.room.DataStreamOptions(max_payload_byte_length=MAX_STREAM_BYTES)
        await connect(url, token, options)

    room.connect = limited  # type: ignore[method-assign]


class Tally:
    """Counts what was dropped, and says when to log it: at the first, then once in SAY_SECONDS.

    `total` is how many there were since the last time.
    """

    def __init__(self) -> None:
        self.total = 0
        self._say_at = 0.0

    def due(self, now: float) -> int:
        """Count one. Returns the number to log now, 0 for nothing. `now`: seconds of the monotonic clock."""
        self.total += 1
        if now < self._say_at:
            return 0
        said, self.total, self._say_at = self.total, 0, now + SAY_SECONDS
        return said


class Intake:
    """One caller's allowance; a `with` block around each message admitted frees its place.

    Args:
        owner: the session, for the log.
        now: seconds of the monotonic clock.
    """

    def __init__(self, owner: str, now: float) -> None:
        self._owner, self._allowed, self._at = owner, float(BURST), now
        self._pending = 0
        self._tally = Tally()

    def admits(self, now: float) -> bool:
        """Whether one more message is taken; one that isn't is counted, and logged once a minute."""
        self._allowed = min(BURST, self._allowed + (now - self._at) * PER_SECOND)
        self._at = now
        if self._allowed >= 1 and self._pending < PENDING:
            self._allowed -= 1
            self._pending += 1
            return True
        self.drop(now)
        return False

    def drop(self, now: float) -> None:
        """Count a message that was not taken."""
        dropped = self._tally.due(now)
        if dropped:
            logger.warning("session=%s event=typed_dropped count=%d", self._owner, dropped)

    def close(self) -> None:
        """Log what was dropped since the last line."""
        if self._tally.total:
            logger.warning("session=%s event=typed_dropped count=%d", self._owner, self._tally.total)

    def __enter__(self) -> Self:
        """An admitted message is worked on."""
        return self

    def __exit__(self, *_: object) -> None:
        """It is done."""
        self._pending -= 1


def too_long(stream: rtc.TextStreamInfo | rtc.ByteStreamInfo, limit: int) -> bool:
    """Whether a stream says itself that it has more than so many bytes."""
    return (stream.size or 0) > limit


async def read_text(reader: TextStream) -> str:
    """What a stream says, its first MAX_TEXT_BYTES; "" if it breaks off or takes longer than READ_SECONDS."""
    parts, size = list[str](), 0
    try:
        with contextlib.suppress(TimeoutError, rtc.StreamError):
            async with asyncio.timeout(READ_SECONDS):
                async for chunk in reader:
                    parts.append(chunk[: MAX_TEXT_BYTES - size])
                    size += len(chunk.encode("utf-8", "replace"))
                    if size >= MAX_TEXT_BYTES:
                        break
                return "".join(parts)
        return ""
    finally:
        reader.close()
