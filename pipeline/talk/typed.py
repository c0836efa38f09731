"""Takes what the caller types, in the order in which things are said: conversation.py hands it over.

Pipecat adds typed words to the conversation at one end of the pipeline while the interruption is still on its way to
the other end, where the words of the sentence that it cuts are added, and tools are seen to be cancelled.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from pipecat.frames.frames import (
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    InterruptionFrame,
    LLMMessagesAppendFrame,
)
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    UserTurnMessageAddedMessage,
)
from pipecat.processors.frame_processor import FrameProcessor

from pipeline.talk.floor import Send
from pipeline.talk.turn_observer import Listener

STEP_SECONDS = 2.0  # for an interruption to get through; some milliseconds, or 1 s for a tool that won't be cancelled
SPOKEN_SECONDS = 1.5  # for a turn of speech to end whose words are known: they were said before those that are typed
TOOL_SECONDS = 0.5  # for a cancelled tool's call to be written down; there is none to come where it had not begun


@dataclass
class TypedFrame(LLMMessagesAppendFrame):
    """Words that the caller typed. The next interruption doesn't drop them."""

    interruptible: bool = field(default=False, init=False)


class Typed:
    """Lets the caller's typed words, one message after the other, cut the agent off and be answered.

    Args:
        worker: Pipecat's, that runs the pipeline.
        aggregators: both ends of its context.
        listener: told of each message once its turn has come.
    """

    def __init__(self, worker: PipelineWorker, aggregators: LLMContextAggregatorPair, listener: Listener) -> None:
        self._worker, self._listener = worker, listener
        self._user, self._assistant = aggregators.user(), aggregators.assistant()
        self._one_by_one = asyncio.Lock()
        self._awaited: dict[tuple[int, int], asyncio.Event] = {}  # by processor and frame
        self._written: set[str] = set()  # tool calls that the conversation has
        self._overtaken: set[str] = set()  # that were cancelled before it had them
        self._unsettled: set[str] = set()  # of these, those that an interruption waits for
        self._settled, self._turn_added = asyncio.Event(), asyncio.Event()
        self._user.add_event_handler("on_after_process_frame", self._passed)
        self._assistant.add_event_handler("on_after_process_frame", self._passed)
        self._assistant.add_event_handler("on_after_process_frame", self._settle)
        self._user.add_event_handler("on_user_turn_message_added", self._spoke)

    async def interrupt(self, send: Send | None = None) -> None:
        """Cut the agent off; returns when what was heard of it, and its tools' end, are in the conversation.

        Args:
            send: Puts the interruption into the pipeline; None: at its beginning.
        """
        await self._pass(InterruptionFrame(), self._assistant, send or self._worker.queue_frame)
        if self._unsettled:
            self._settled.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(TOOL_SECONDS):
                    await self._settled.wait()
            self._unsettled.clear()

    async def answer(self, text: str) -> None:
        """Let the agent answer these words; returns when they are in the conversation."""
        async with self._one_by_one:
            await self._let_speech_end()
            await self.interrupt()
            self._listener.user_said(text)
            await self._pass(
                TypedFrame(messages=[{"role": "user", "content": text}], run_llm=True),
                self._user,
                self._worker.queue_frame,
            )

    async def _pass(self, frame: Frame, processor: FrameProcessor, send: Send) -> None:
        """Send a frame and wait until it has been through this processor, STEP_SECONDS at most."""
        passed = self._awaited[processor.id, frame.id] = asyncio.Event()
        try:
            await send(frame)
            with suppress(TimeoutError):  # a pipeline that stands still must not cost the words
                async with asyncio.timeout(STEP_SECONDS):
                    await passed.wait()
        finally:
            del self._awaited[processor.id, frame.id]

    async def _let_speech_end(self) -> None:
        if self._user.aggregation_string():
            self._turn_added.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(SPOKEN_SECONDS):
                    await self._turn_added.wait()

    async def _spoke(self, _: FrameProcessor, __: UserTurnMessageAddedMessage) -> None:
        self._turn_added.set()

    async def _passed(self, processor: FrameProcessor, frame: Frame) -> None:
        if (passed := self._awaited.get((processor.id, frame.id))) is not None:
            passed.set()

    async def _settle(self, assistant: FrameProcessor, frame: Frame) -> None:
        """See that a cancelled tool call doesn't stay in progress.

        Pipecat writes a call down behind the words before it, and forgets a cancellation that overtakes it.
        """
        if isinstance(frame, FunctionCallInProgressFrame):
            self._written.add(frame.tool_call_id)
            if frame.tool_call_id in self._overtaken:
                await assistant.queue_frame(FunctionCallCancelFrame(frame.function_name, frame.tool_call_id))
        elif isinstance(frame, FunctionCallCancelFrame) and frame.tool_call_id in self._written:
            self._unsettled.discard(frame.tool_call_id)
            if not self._unsettled:
                self._settled.set()
        elif isinstance(frame, FunctionCallCancelFrame):
            self._overtaken.add(frame.tool_call_id)
            self._unsettled.add(frame.tool_call_id)
