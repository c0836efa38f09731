"""An agent that takes its time to answer, so that it can be lost in between."""

import asyncio

from pipecat.frames.frames import Frame, LLMFullResponseStartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from greenroom import Agent, Call, Extra

SECONDS = 2.0


class Pause(FrameProcessor):
    """Holds up the beginning of each answer."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMFullResponseStartFrame):
            await asyncio.sleep(SECONDS)
        await self.push_frame(frame, direction)


def pause(_: Call) -> Extra:
    return Extra(before_tts=[Pause()])


agent = Agent(name="pensive", prompt="Answer in your own time.", greeting="Hello.", processors=pause)
