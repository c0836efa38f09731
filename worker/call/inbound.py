"""How much a caller may send into the room besides its voice, refused before it costs anything; room_events.py asks.

The numbers are far above what people and front ends send, and far below what harms a process.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from livekit import rtc

MOST_STREAM_BYTES = 4 * 1024 * 1024  # of one stream once it is unpacked: LiveKit's SDK ends a larger one by itself
MOST_TEXT_BYTES = 16 * 1024  # of a typed message; nothing after it is read
MESSAGES_A_SECOND = 5.0  # that a caller may type for long
BURST = 20  # that it may type at once
MOST_PENDING = 20  # typed messages that wait for their answer
REPORT_SECONDS = 60.0  # between two log lines about what was refused

logger = logging.getLogger(__name__)


class Reader(Protocol):
    """A stream of LiveKit's SDK that is being received."""

    def __aiter__(self) -> AsyncIterator[Any]:
        """Its pieces, unpacked."""

    def close(self) -> None:
        """Receive nothing more of it."""


def limit_streams(room: rtc.Room) -> None:
    """Let `room`, once it connects, end every stream larger than MOST_STREAM_BYTES, before it is kept.

    livekit-agents connects the room and leaves no way to give this option.
    """
    connect = room.connect

    @functools.wraps(connect)
    async def limited(url: str, token: str, options: rtc.RoomOptions | None = None) -> None:
        options = options or rtc.RoomOptions()
        options.data_stream = rtc.room.DataStreamOptions(max_payload_byte_length=MOST_STREAM_BYTES)
        await connect(url, token, options)

    room.connect = limited  # type: ignore[method-assign]


async def read_up_to(reader: Reader, most: int) -> list[Any]:
    """The pieces of a stream up to `most` bytes (or characters); the rest is not received.

    A stream that breaks off, or that is larger than MOST_STREAM_BYTES, gives what came of it.
    """
    pieces: list[Any] = []
    size = 0
    try:
        async for piece in reader:
            pieces.append(piece[: most - size])
            size += len(piece)
            if size >= most:
                break
    except rtc.StreamError:
        pass
    finally:
        reader.close()
    return pieces


@dataclass
class MessageLimit:
    """Lets so many typed messages pass, and says once in a while how many it did not.

    Args:
        owner: whose call it is, for the log.
        clock: seconds, monotonic.
    """

    owner: str
    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    _allowance: float = BURST
    _at: float | None = None
    _refused: int = 0
    _reported_at: float | None = None

    def admit(self, pending: int) -> bool:
        """Whether a message may be read now. `pending`: how many others wait for their answer."""
        now = self.clock()
        if self._at is not None:
            self._allowance = min(BURST, self._allowance + (now - self._at) * MESSAGES_A_SECOND)
        self._at = now
        if self._allowance >= 1 and pending < MOST_PENDING:
            self._allowance -= 1
            return True
        self._refused += 1
        if self._reported_at is None or now - self._reported_at >= REPORT_SECONDS:
            logger.warning("session=%s event=messages_refused count=%d", self.owner, self._refused)
            self._refused, self._reported_at = 0, now
        return False
