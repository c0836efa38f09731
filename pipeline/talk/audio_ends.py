"""Both ends of the pipeline: the caller's sound in, the agent's sound out to a `Sink`; conversation.py makes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    AggregatedTextFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    StartFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.utils.text.base_text_aggregator import TextType

from pipeline.frames import seconds
from pipeline.talk.heard import HeardText, Playing, SpokenOver
from pipeline.talk.player import Player, Sink

IN_RATE = 16_000  # Hz; what Silero, Smart Turn and Moonshine work at
OUT_RATE = 24_000  # Hz; what hibari makes
ASIDE = "aside"  # Pipecat's type of a text that is spoken and belongs to no turn
CHUNK_10MS = 4  # 40 ms a write: an interruption never waits for longer than that
LONGEST_WRITE = (
    86_400.0  # seconds, Pipecat's bound for a peer that stopped reading: a room never does, a caller may hold us
)


@dataclass
class HeardFrame(SystemFrame, TTSTextFrame):
    """Words that were heard before an interruption cut the rest off.

    A text frame with the priority of a system frame, so that the interruption behind it cannot overtake it on the way
    to the context.
    """


def audio_params() -> TransportParams:
    """What both ends of the pipeline are told about audio."""
    return TransportParams(
        audio_in_enabled=True,
        audio_in_sample_rate=IN_RATE,
        audio_out_enabled=True,
        audio_out_sample_rate=OUT_RATE,
        audio_out_10ms_chunks=CHUNK_10MS,
        audio_out_end_silence_secs=0,
        audio_out_write_timeout_secs=LONGEST_WRITE,
    )


class AudioInput(BaseInputTransport):
    """The caller's sound on its way into the pipeline; what comes before the pipeline runs is kept for it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(audio_params(), **kwargs)
        self._early: list[bytes] | None = []

    async def start(self, frame: StartFrame) -> None:
        """Begin to listen."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        early, self._early = self._early or [], None
        for pcm in early:
            await self.hear(pcm)

    async def hear(self, pcm: bytes) -> None:
        """Put the caller's sound into the pipeline: 16-bit mono PCM at IN_RATE."""
        if self._early is not None:
            self._early.append(pcm)
            return
        await self.push_audio_frame(InputAudioRawFrame(audio=pcm, sample_rate=IN_RATE, num_channels=1))


class AudioOutput(BaseOutputTransport):
    """Plays the agent's sentences into a sink and knows which words of them were heard.

    Pipecat puts a sentence into the context when its audio has been queued. Here it goes there when it has been
    played, and an interruption leaves only the words that were. While the caller makes a sound the agent is silent; it
    goes on when no words came of it.

    Args:
        sink: where the sound goes.
        on_sentence: told of each sentence when it begins.
        on_aside: told what was heard of words of the type ASIDE, which the context does not get, and whether they
            were cut off.
    """

    def __init__(
        self, sink: Sink, on_sentence: Callable[[str], None], on_aside: Callable[[str, bool], None], **kwargs: Any
    ) -> None:
        super().__init__(audio_params(), **kwargs)
        self._on_sentence = on_sentence
        self._on_aside = on_aside
        self._asides: dict[str | None, str] = {}  # Pipecat's context of each, and its text
        self._aside_words: list[str] = []
        self._heard = HeardText()
        self._player = Player(sink, OUT_RATE, self._heard.play)
        self._cut: set[object] = set()
        self.first_audio: Callable[[], None] | None = None
        self.interrupted = asyncio.Event()
        """Set by each interruption once it has silenced the sink."""
        self.spoken_over = SpokenOver()
        """What the agent was saying when the caller last began to speak."""

    async def cleanup(self) -> None:
        """The call is over."""
        self._player.close()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def start(self, frame: StartFrame) -> None:
        """Begin to play."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow each sentence before it queues for playing; cut at an interruption."""
        if isinstance(frame, InterruptionFrame):
            await self._interrupt()
        elif direction is FrameDirection.DOWNSTREAM and isinstance(frame, UserStartedSpeakingFrame):
            self.spoken_over = self._heard.spoken_over(time.monotonic())
            self._player.hold()
        elif direction is FrameDirection.DOWNSTREAM and isinstance(frame, UserStoppedSpeakingFrame):
            self._player.go_on()
        elif isinstance(frame, TTSTextFrame):
            self._heard.complete(frame.segment_id)
        elif isinstance(frame, AggregatedTextFrame) and frame.will_be_spoken:
            self._announce(frame)
        elif isinstance(frame, TTSAudioRawFrame):
            self._heard.made(seconds(frame))
        await super().process_frame(frame, direction)

    async def _interrupt(self) -> None:
        self._player.drop()
        self.interrupted.set()
        self._cut_aside()
        self._cut, words = self._heard.cut()
        if words:
            frame = HeardFrame(words, text_type=TextType.SENTENCE)
            frame.will_be_spoken = True
            await super().push_frame(frame)

    def words_heard(self) -> str:
        """What the caller has heard by now of the sentences that are under way, asides left out."""
        return self._heard.words(unplayed=self._player.queued())

    def playing(self) -> Playing | None:
        """The sentence whose sound comes next to the sink."""
        return self._heard.playing()

    def _announce(self, frame: AggregatedTextFrame) -> None:
        aside = frame.text_type == ASIDE
        self._heard.announce(frame.id, frame.text, aside=aside)
        if aside:
            self._asides[frame.context_id] = frame.text

    def _cut_aside(self) -> None:
        if self._asides:
            words = (*self._aside_words, self._heard.words(aside=True))
            self._asides, self._aside_words = {}, []
            self._on_aside(" ".join(filter(None, words)), True)

    def _end_aside(self, context_id: str | None) -> None:
        if context_id in self._asides:
            self._aside_words = []
            self._on_aside(self._asides.pop(context_id), False)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play one chunk, unless an interruption comes before it can be heard."""
        if not await self._player.ready():
            return False
        if self.first_audio is not None:
            self.first_audio()
            self.first_audio = None
        return await self._player.write(frame.audio)

    async def write_transport_frame(self, frame: Frame) -> None:
        """Tell when a sentence begins to be played; hold its text back until it has been."""
        if isinstance(frame, TTSTextFrame):
            await self._player.drain()
            self._player.over()
            self._heard.finished(frame.segment_id, time.monotonic())
            if not frame.append_to_context:
                self._aside_words.append(frame.text)
        elif isinstance(frame, AggregatedTextFrame) and frame.will_be_spoken and await self._player.ready():
            self._on_sentence(frame.text)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Pass a frame on, but not the text of a sentence that was cut off."""
        if isinstance(frame, TTSTextFrame) and frame.segment_id in self._cut:
            return
        if isinstance(frame, TTSStoppedFrame):
            self._end_aside(frame.context_id)
        await super().push_frame(frame, direction)
