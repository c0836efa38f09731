"""What is to be said, piece by piece, and the frames in which the rest of the pipeline hears of it; tts.py keeps it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TypeVar

from pipecat.frames.frames import (
    AggregatedTextFrame,
    DataFrame,
    Frame,
    LLMAssistantPushAggregationFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.utils.text.base_text_aggregator import TextType

from pipeline.frames import seconds
from pipeline.pace import SECONDS_PER_CHARACTER, whole_words

F = TypeVar("F", bound=Frame)


def unsaid(text: str, seconds: float, pace: float = SECONDS_PER_CHARACTER) -> str:
    """What is left of a text that broke off: at least its last word.

    Args:
        text: what was to be said.
        seconds: of its sound that came.
        pace: seconds that this voice takes for a character.
    """
    if seconds <= 0:
        return text
    said = whole_words(text, seconds / (len(text) * pace))
    if len(said) >= len(text.rstrip()):
        said = " ".join(text.split()[:-1])
    return text[len(said) :].lstrip()


@dataclass
class SaidFrame(DataFrame):
    """Sent to a service behind a text: it comes out again when all that the service has to say of it has."""

    piece: int = 0


@dataclass(slots=True)
class Utterance:
    """What the caller hears as one: the sentences of an answer, or a text of ours between them.

    Attributes:
        keep: its words become part of the conversation.
        alone: it belongs to no answer of the LLM.
        interruptible: as in Pipecat's frames.
        begun: some of it has been said.
        id: its name in Pipecat's frames.
    """

    keep: bool = True
    alone: bool = False
    interruptible: bool = True
    begun: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def of(self, frame: F) -> F:
        """The frame, interruptible or not as the utterance is."""
        frame.interruptible = self.interruptible
        return frame


@dataclass(slots=True)
class Piece:
    """A part of an utterance that is said as a whole: a sentence, mostly.

    Attributes:
        utterance: that it is part of.
        frame: its text, as it came; its id is the piece's name for all that comes after.
        left: what of the text is still to be said.
        seconds: of sound that the candidate in use has made of `left`.
        announced: it has begun to be said.
        whole: the candidate in use says that there is no more sound of it.
    """

    utterance: Utterance
    frame: AggregatedTextFrame
    left: str
    seconds: float = 0.0
    announced: bool = False
    whole: bool = False

    def asked(self) -> tuple[TTSSpeakFrame, SaidFrame]:
        """The frames that ask a service to say what is left."""
        self.seconds, self.whole = 0.0, False
        speak = TTSSpeakFrame(self.left, append_to_context=False, text_type=self.frame.text_type)
        return self.utterance.of(speak), self.utterance.of(SaidFrame(self.frame.id))

    def broke_off(self, pace: float) -> None:
        """The candidate in use says no more of it: only what the caller doesn't get to hear is left."""
        self.left = unsaid(self.left, self.seconds, pace)

    def sound(self, frame: TTSAudioRawFrame) -> list[Frame]:
        """What goes to the caller with a candidate's sound, which is announced first."""
        self.seconds += seconds(frame)
        frames = list[Frame]()
        if not self.announced:
            self.announced = True
            self.frame.append_to_context, self.frame.will_be_spoken = False, True
            self.frame.context_id = self.utterance.id
            frames.append(self.utterance.of(self.frame))
        if not self.utterance.begun:
            self.utterance.begun = True
            started = TTSStartedFrame(context_id=self.utterance.id, append_to_context=self.utterance.keep)
            frames.append(self.utterance.of(started))
        sound = TTSAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels, context_id=self.utterance.id)
        return [*frames, self.utterance.of(sound)]

    def said(self) -> list[Frame]:
        """What follows its sound: its text."""
        if not self.announced:
            return []
        text = TTSTextFrame(self.frame.text, self.frame.text_type, segment_id=self.frame.id)
        text.will_be_spoken, text.append_to_context = True, self.utterance.keep
        text.context_id = self.utterance.id
        return [self.utterance.of(text)]


def piece(text: str, text_type: TextType | str, utterance: Utterance, raw: str | None = None) -> Piece:
    """A piece of its text alone; `raw`: the text with what marks it."""
    frame = AggregatedTextFrame(text, text_type, raw_text=text if raw is None else raw)
    return Piece(utterance, frame, text)


@dataclass(frozen=True, slots=True)
class Ending:
    """The place behind the last piece of an utterance."""

    utterance: Utterance

    def frames(self) -> list[Frame]:
        """What follows its last sound: nothing, if there was none."""
        if not self.utterance.begun:
            return []
        frames: list[Frame] = [TTSStoppedFrame(context_id=self.utterance.id)]
        if self.utterance.alone and self.utterance.keep:
            frames.append(LLMAssistantPushAggregationFrame())
        return [self.utterance.of(frame) for frame in frames]
