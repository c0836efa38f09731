"""Tells a `Listener` who is speaking, from the frames in the pipeline; conversation.py attaches it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.frame_processor import FrameDirection

from pipeline.talk.turns import TurnClock


class Activity(StrEnum):
    """What caller or agent start and stop, by the names that Pipecat's pages have for it."""

    USER_STARTED = "user-started-speaking"
    USER_STOPPED = "user-stopped-speaking"
    AGENT_STARTED = "bot-started-speaking"
    AGENT_STOPPED = "bot-stopped-speaking"
    INTERRUPTED = "bot-interrupted"
    LLM_STARTED = "bot-llm-started"
    LLM_STOPPED = "bot-llm-stopped"
    TTS_STARTED = "bot-tts-started"
    TTS_STOPPED = "bot-tts-stopped"


ACTIVITIES: Mapping[type[Frame], Activity] = {
    UserStartedSpeakingFrame: Activity.USER_STARTED,
    UserStoppedSpeakingFrame: Activity.USER_STOPPED,
    BotStartedSpeakingFrame: Activity.AGENT_STARTED,
    BotStoppedSpeakingFrame: Activity.AGENT_STOPPED,
    InterruptionFrame: Activity.INTERRUPTED,
    LLMFullResponseStartFrame: Activity.LLM_STARTED,
    LLMFullResponseEndFrame: Activity.LLM_STOPPED,
    TTSStartedFrame: Activity.TTS_STARTED,
    TTSStoppedFrame: Activity.TTS_STOPPED,
}


class Listener(Protocol):
    """Who wants to know how a conversation goes. Called in order, from the call's own loop; must not block."""

    def agent_state(self, state: str) -> None:
        """The agent is now listening, thinking or speaking: LiveKit's names."""

    def activity(self, what: Activity) -> None:
        """Caller or agent starts or stops something."""

    def user_words(self, text: str, *, final: bool) -> None:
        """The caller's words as they are understood; a final text replaces those before it."""

    def user_said(self, text: str) -> None:
        """A whole turn of the caller."""

    def agent_sentence(self, text: str) -> None:
        """The agent begins to say this sentence."""

    def agent_said(self, text: str, *, interrupted: bool) -> None:
        """A whole turn of the agent: what of it was heard; nothing, if it was interrupted at once."""

    def turn_taken(self, *, gap: float | None, barge_ins: int) -> None:
        """The agent began to speak, `gap` seconds after the caller's turn ended (None: unasked)."""

    def provider_failed(self, provider: str, *, permanent: bool) -> None:
        """A speech or brain service reported an error."""

    def agent_failed(self, where: str) -> None:
        """The agent's own code failed. `where`: the error's type and place, never its message."""

    def conversation_changed(self) -> None:
        """There is something new in the conversation's checkpoint."""

    def noticed(self, event: str, facts: Mapping[str, str | int | float | bool]) -> None:
        """Something for the session's log that costs the caller nothing but time; `facts` are nobody's words."""

    def wants_to_end(self) -> None:
        """The agent has said goodbye and been heard: the call may end."""


class TurnObserver(BaseObserver):
    """Watches the first appearance of each frame; a broadcast frame's two copies count once, going downstream."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(observe_every_push=False)
        self._listener = listener
        self._clock = TurnClock()

    async def on_push_frame(self, data: FramePushed) -> None:
        """Translate one frame."""
        if data.direction is not FrameDirection.DOWNSTREAM:
            return
        frame = data.frame
        if (activity := ACTIVITIES.get(type(frame))) is not None:
            self._listener.activity(activity)
        if isinstance(frame, UserStartedSpeakingFrame):
            self._clock.user_started()
        elif isinstance(frame, InterruptionFrame):
            self._clock.interrupted()
            return
        elif isinstance(frame, UserStoppedSpeakingFrame):
            self._clock.user_stopped(time.monotonic())
        elif isinstance(frame, BotStartedSpeakingFrame):
            gap = self._clock.agent_started(time.monotonic())
            self._listener.agent_state(self._clock.state)
            self._listener.turn_taken(gap=gap, barge_ins=self._clock.barge_ins)
            return
        elif isinstance(frame, BotStoppedSpeakingFrame):
            before = self._clock.state
            self._clock.agent_stopped()
            if self._clock.state == before:  # it was cut off, and is listening or thinking already
                return
        else:
            return
        self._listener.agent_state(self._clock.state)
