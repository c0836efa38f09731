"""Decides whether the call's end is agreed, and whether it has been said; conversation.py tells it what happens."""

from __future__ import annotations

from enum import StrEnum

from pipecat.frames.frames import Frame, FunctionCallResultFrame, LLMFullResponseStartFrame


class Step(StrEnum):
    """What is to be done after a turn of the agent."""

    GO_ON = "go_on"
    SAY_GOODBYE = "say_goodbye"  # the agent's own sentence: the LLM had nothing to say
    END = "end"


class Parting:
    """The end of one conversation.

    Args:
        agreed: another agent had agreed on it before it was lost.

    Attributes:
        agreed: the agent has asked for the end, and the caller has said nothing since.
    """

    def __init__(self, *, agreed: bool) -> None:
        self.agreed = agreed
        self._asked = self._answers = False  # the LLM was asked for its last words; and has begun to answer
        self._spoke = False  # the agent has, since the caller did

    def agree(self) -> None:
        """The agent has asked for the end of the call."""
        self.agreed = True

    def caller_spoke(self) -> None:
        """The caller has said something: the end is called off."""
        self.agreed = self._asked = self._answers = self._spoke = False

    def llm_is_asked(self) -> None:
        """The LLM is asked for an answer."""
        self._asked = self.agreed

    def passes(self, frame: Frame) -> None:
        """A frame has come to the end of the pipeline: a tool's result, upon which the LLM is asked; its answer."""
        if isinstance(frame, FunctionCallResultFrame):
            self.llm_is_asked()
        elif isinstance(frame, LLMFullResponseStartFrame):
            self._answers = self._asked

    def turn_over(self, *, words: bool, interrupted: bool) -> Step:
        """A turn of the agent is over.

        Args:
            words: some of it were heard.
            interrupted: it was cut off.
        """
        self._spoke = self._spoke or words
        if not self.agreed or not self._answers or interrupted:
            return Step.GO_ON
        step = Step.END if self._spoke else Step.SAY_GOODBYE
        self._spoke = True  # a goodbye that the voice can't say isn't tried again
        return step
