"""Takes the agent's own sound out of the caller's, once a loudspeaker gave it back; call.py puts it between.

Off until then: WebRTC's canceller takes 1 % of a core, and from a caller without an echo it takes away the beginning of
what is said over the agent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from livekit import rtc

from worker.call.audio import QUEUE_MS, AgentTrack

FRAMES = 100  # a second: the canceller wants 10 ms at a time
BEHIND_SECONDS = QUEUE_MS / 1000 + 0.1  # the most of the agent's sound that can wait to be played

Hear = Callable[[bytes], Awaitable[None]]


class EchoCanceller:
    """Stands between the call's two tracks and the pipeline: a `Sink`, and what hears the caller.

    Args:
        track: The agent's.
        out_rate: Samples a second of the agent's 16-bit mono sound; a multiple of 100.
        in_rate: Samples a second of the caller's; a multiple of 100.
        begins: Called once when it begins to cancel.
    """

    def __init__(self, track: AgentTrack, out_rate: int, in_rate: int, begins: Callable[[], None]) -> None:
        self._track, self._begins = track, begins
        self._out_rate, self._in_rate = out_rate, in_rate
        self._played, self._heard = bytearray(), bytearray()
        self._apm: rtc.AudioProcessingModule | None = None

    def begin(self) -> None:
        """Cancel from now on."""
        if self._apm is None:
            self._apm = rtc.AudioProcessingModule(echo_cancellation=True)
            self._begins()

    async def write(self, pcm: bytes) -> None:
        """Play this."""
        await self._track.write(pcm)
        if self._apm is not None:
            self._played += pcm
            del self._played[: max(0, len(self._played) - _bytes(self._out_rate, BEHIND_SECONDS))]

    def queued(self) -> float:
        """Seconds not played yet."""
        return self._track.queued()

    def clear(self) -> None:
        """Silence, now."""
        self._track.clear()
        self._played.clear()

    async def drain(self) -> None:
        """Wait until all has been played."""
        await self._track.drain()

    def before(self, hear: Hear) -> Hear:
        """What to give the caller's sound to, in place of `hear`."""

        async def clean(pcm: bytes) -> None:
            await hear(pcm if self._apm is None else self._cancelled(self._apm, pcm))

        return clean

    def _cancelled(self, apm: rtc.AudioProcessingModule, pcm: bytes) -> bytes:
        """The sound without the echo, in whole frames; the rest comes with the next."""
        self._heard += pcm
        size, found = _bytes(self._in_rate, 1 / FRAMES), bytearray()
        while len(self._heard) >= size:
            apm.process_reverse_stream(self._frame(self._played, self._out_rate))
            frame = self._frame(self._heard, self._in_rate)
            apm.process_stream(frame)
            found += frame.data.cast("b")
        return bytes(found)

    @staticmethod
    def _frame(sound: bytearray, rate: int) -> rtc.AudioFrame:
        """The next 10 ms, taken off; silence where there is no more."""
        size = _bytes(rate, 1 / FRAMES)
        taken = bytes(sound[:size]).ljust(size, b"\0")
        del sound[:size]
        return rtc.AudioFrame(bytearray(taken), rate, 1, size // 2)


def _bytes(rate: int, seconds: float) -> int:
    return 2 * round(rate * seconds)
