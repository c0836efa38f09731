"""Asks a caller to say it again, rather than answer words that speech-to-text made of another language; behind it."""

from __future__ import annotations

from collections.abc import Callable

from pipecat.frames.frames import Frame, TranscriptionFrame, TTSSpeakFrame, UserStoppedSpeakingFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipeline.frames import NoWordsFrame, UnsureTranscriptionFrame


class Unclear(FrameProcessor):
    """Holds unsure words back until there are sure ones in the same turn; a turn without any gets a sentence.

    The turn after that sentence is answered whatever it is: a caller with a bad line must not be kept out.

    Args:
        sentence: What the agent says; "" answers unsure words like any others.
        speaking: Whether the caller speaks over the agent. Then unsure words are none: the agent goes on.
    """

    def __init__(self, sentence: str, speaking: Callable[[], bool]) -> None:
        super().__init__(enable_direct_mode=True)  # the caller's sound comes through 31 times a second
        self._sentence, self._speaking = sentence, speaking
        self._held: list[TranscriptionFrame] = []
        self._sure, self._asked = not sentence, False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on but words that are not sure yet."""
        await super().process_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame):
            await self._turn_is_over()
        elif isinstance(frame, UnsureTranscriptionFrame) and not self._sure and not self._asked:
            self._held.append(frame)
            await self.push_frame(NoWordsFrame())
            return
        elif isinstance(frame, TranscriptionFrame):
            self._sure = True
            held, self._held = self._held, []
            for each in held:
                await self.push_frame(each)
        await self.push_frame(frame, direction)

    async def _turn_is_over(self) -> None:
        unclear, self._held = bool(self._held), []
        if unclear and not self._speaking():
            self._asked = True
            await self.push_frame(TTSSpeakFrame(self._sentence))
        elif self._sure:
            self._asked = False
        self._sure = not self._sentence
