"""Tells the LLM, once in a conversation, that its voice can't say everything; conversation.py hands it the frames."""

from __future__ import annotations

from pipecat.frames.frames import Frame
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage

from pipeline.frames import UnsayableFrame

NOTE: LLMContextMessage = {
    "role": "developer",
    "content": "Your voice speaks English only. It left out words of another script, and the caller has not heard them."
    " Say what you have to say in English words.",
}


def tell_limits(context: LLMContext, frame: Frame) -> None:
    """Add NOTE to the context when the voice has left something out, and the context doesn't have it.

    Args:
        context: of the conversation.
        frame: any that has come to the end of the pipeline.
    """
    if isinstance(frame, UnsayableFrame) and NOTE not in context.messages:
        context.add_message(NOTE)
