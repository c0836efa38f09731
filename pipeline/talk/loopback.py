"""Decides whether a sound that was heard is the agent's own, given back by a loudspeaker; not_own.py asks.

Two witnesses: the words, each in its time (own_voice.py), and the sound itself (own_sound.py). The sound alone must be
sure; with the words a little of it is enough, since a caller may say the agent's words at the same time.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.local import lane
from pipeline.talk.heard import Playing
from pipeline.talk.own_sound import DELAY_SECONDS, Timeline, explained
from pipeline.talk.own_voice import OwnVoice
from pipeline.talk.player import Sink

SURE = 0.6  # of what was heard is what was played: no voice of another, not even over the agent's, reaches it
HINT = 0.45  # enough when the words are the agent's too
LATEST_SECONDS = 0.8  # after the agent fell silent there is no echo any more
GAP_SECONDS = 0.5  # a microphone that gave nothing for longer was off

Clock = Callable[[], float]


class Loopback:
    """A sink that remembers what it played when, and compares what was heard with it.

    Args:
        sink: Where the sound goes.
        out_rate: Samples a second that it gets.
        in_rate: Samples a second of what is heard.
        now: A monotonic clock, seconds.
    """

    def __init__(self, sink: Sink, out_rate: int, in_rate: int, now: Clock) -> None:
        self._sink, self._now = sink, now
        self._out_rate, self._in_rate = out_rate, in_rate
        self._played, self._heard = Timeline(out_rate), Timeline(in_rate)
        self._words = OwnVoice()
        self.playing: Callable[[], Playing | None] = lambda: None
        """What sentence is being played; set by who knows it."""
        self.on_own: Callable[[], None] = lambda: None
        """Called each time that the agent's own words came back."""

    async def write(self, pcm: bytes) -> None:
        """Play this, and remember it."""
        await self._sink.write(pcm)
        seconds = len(pcm) / (2 * self._out_rate)
        end = self._now() + self._sink.queued()
        self._played.put(pcm, max(self._played.end, end - seconds))
        playing = self.playing()
        if playing is not None:
            self._words.plays(playing.key, playing.text, played=playing.played, total=playing.total, at=end - seconds)

    def queued(self) -> float:
        """Seconds not played yet."""
        return self._sink.queued()

    def clear(self) -> None:
        """Silence, now."""
        self._sink.clear()
        self._played.cut(self._now())
        self._words.silenced(self._now())

    async def drain(self) -> None:
        """Wait until all has been played."""
        await self._sink.drain()

    def hears(self, pcm: bytes) -> None:
        """The microphone just gave this: 16-bit mono sound."""
        begin, end = self._now() - len(pcm) / (2 * self._in_rate), self._heard.end
        # What is late after a busy moment still follows what came before it.
        self._heard.put(pcm, end if begin < end + GAP_SECONDS else begin)

    async def own(self, text: str, begin: float, end: float) -> bool:
        """Whether what was heard between two seconds of the clock is the agent's own; takes some ms of another thread.

        Args:
            text: What was understood.
            begin: When the voice was first heard.
            end: When it was last heard.
        """
        if self._played.end < begin - DELAY_SECONDS or end > self._played.end + LATEST_SECONDS:
            return False
        words = self._words.said(text, begin, end)
        heard, played = self._heard.between(begin, end), self._played.between(begin - DELAY_SECONDS, end)
        return await lane.run(explained, heard, played) >= (HINT if words else SURE)
