"""Keeps the agent's own words, given back by a loudspeaker, from being taken for the caller's; behind the STT."""

from __future__ import annotations

from collections.abc import Callable

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TextFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipeline.frames import NoWordsFrame
from pipeline.talk.loopback import Loopback


class NotOwn(FrameProcessor):
    """Lets the caller's words pass. In place of the agent's own it says that there were no words.

    Args:
        loopback: Knows what the agent's sound and words are.
        now: The loopback's clock.
    """

    def __init__(self, loopback: Loopback, now: Callable[[], float]) -> None:
        super().__init__(enable_direct_mode=True)  # the caller's sound comes through 31 times a second
        self._loopback, self._now = loopback, now
        self._begin, self._end = 0.0, 0.0
        self._speaking, self._answered = False, True
        self._before: tuple[float, float] | None = None  # a stretch whose words are still to come, as another began

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on but the agent's own words."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._loopback.hears(frame.audio)
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._before = None if self._answered else (self._begin, self._end)
            self._begin, self._speaking = self._now() - frame.start_secs, True
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._end, self._speaking, self._answered = self._now() - frame.stop_secs, False, False
        elif isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame | NoWordsFrame):
            await self._answer(frame, direction)
            return
        await self.push_frame(frame, direction)

    async def _answer(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass on what was understood of a stretch of sound, unless it is the agent's own."""
        begin, end = self._before or (self._begin, self._now() if self._speaking else self._end)
        interim = isinstance(frame, InterimTranscriptionFrame)
        if not interim:
            self._answered, self._before = not self._speaking, None
        own = await self._loopback.own(frame.text if isinstance(frame, TextFrame) else "", begin, end)
        if own and not interim:
            self._loopback.on_own()
        if not own or isinstance(frame, NoWordsFrame):
            await self.push_frame(frame, direction)
        elif not interim:
            await self.push_frame(NoWordsFrame())
