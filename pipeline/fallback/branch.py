"""One candidate's service while it serves a call: connected in its own time, left without waiting for it.

tts.py and stt.py make one for each candidate that they use.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

from pipecat.frames.frames import CancelFrame, ErrorFrame, Frame, ServiceUpdateSettingsFrame, StartFrame
from pipecat.pipeline.pipeline import PipelineSink, PipelineSource
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.utils.errors import ErrorCategory, classify_http_exception, classify_http_status_code

from pipeline.fallback.candidates import Candidate
from pipeline.providers.spec import let_go
from runtime.background import Background

S = TypeVar("S", bound=FrameProcessor)
Change = TypeVar("Change", bound=ServiceUpdateSettingsFrame[Any])

Noticed = Callable[[str, Mapping[str, str | int | float | bool]], None]
"""Told of an event for the session's log, with facts that are no words of anybody."""

REFUSALS = (ErrorCategory.AUTHENTICATION, ErrorCategory.AUTHORIZATION)
LEAVE_SECONDS = 3.0  # for a service to close what it has open; one that hangs is left as it is

_STATUS = re.compile(r"(?:Error code|status): (\d{3})\b")  # as the SDKs of OpenAI's kind and Pipecat write it


class Branch(Generic[S]):
    """The service of one candidate, between two ends of its own, outside of the call's pipeline.

    Nothing waits for it: what it is given before it has connected waits in its own queue.

    Args:
        candidate: whose service it is.
        tasks: of all branches of its owner; they end by themselves once the branches are left.
        said: told of each frame that the service sends on, until it is left.
        failed: told of each error of the service, until it is left.
    """

    def __init__(
        self,
        candidate: Candidate[S],
        tasks: Background,
        *,
        said: Callable[[Branch[S], Frame], Awaitable[None]],
        failed: Callable[[Branch[S], ErrorFrame], Awaitable[None]],
    ) -> None:
        self.candidate = candidate
        self.service = candidate.make()
        self.left = False
        self.again = False
        """What it hears first was heard by another before."""
        self._tasks, self._said, self._failed = tasks, said, failed
        self._source, self._sink = PipelineSource(self._up), PipelineSink(self._down)
        self._source.link(self.service)
        self.service.link(self._sink)
        self._ready: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None

    def begin(self, setup: FrameProcessorSetup, frame: StartFrame | None = None) -> None:
        """Connect the service; start it when it has connected, with this frame or that of a later `start`.

        Args:
            setup: that of the processor in the pipeline. The pipeline's observers don't see a branch's frames.
            frame: with which the pipeline was started; None: it wasn't yet.
        """
        self._ready = self._tasks.start(self._connect(dataclasses.replace(setup, observer=None)), "connect a provider")
        if frame is not None:
            self.start(frame)

    def start(self, frame: StartFrame) -> None:
        """Start the service as soon as it has connected."""
        self._running = self._tasks.start(self._start(frame), "start a provider")

    async def give(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Give a frame to the service; returns at once."""
        if not self.left:
            await self.service.queue_frame(frame, direction)

    def leave(self) -> None:
        """Hear nothing of it any more, and let it close what it has open."""
        if not self.left:
            self.left = True
            self._tasks.start(self._end(), "leave a provider")

    async def _connect(self, setup: FrameProcessorSetup) -> None:
        await self._source.setup(setup)
        await self._sink.setup(setup)
        await self.service.setup(setup)

    async def _start(self, frame: StartFrame) -> None:
        if self._ready is not None:
            await asyncio.wait([self._ready])
        await self.give(frame)

    async def _end(self) -> None:
        for task in (self._running, self._ready):
            if task is not None:
                task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self.service.process_frame(CancelFrame(), FrameDirection.DOWNSTREAM)
                await self.service.cleanup()  # type: ignore[no-untyped-call]
                await let_go(self.service)

    async def _down(self, frame: Frame, _: FrameDirection) -> None:
        if not self.left:
            await self._said(self, frame)

    async def _up(self, frame: Frame, _: FrameDirection) -> None:
        if not self.left and isinstance(frame, ErrorFrame):
            await self._failed(self, frame)


def for_service(frame: Change) -> Change:
    """The same change of settings for whichever service gets it, in a frame of its own: a service may write in it."""
    return type(frame)(delta=copy.copy(frame.delta))


def category(error: ErrorFrame) -> ErrorCategory:
    """Why a service failed: as Pipecat sorts it, or by the HTTP status that several services only put in the text."""
    if error.category not in (None, ErrorCategory.UNKNOWN):
        return error.category
    if error.exception is not None:
        return classify_http_exception(error.exception)
    status = _STATUS.search(error.error)
    return classify_http_status_code(int(status[1])) if status is not None else ErrorCategory.UNKNOWN


def is_permanent(error: ErrorFrame, service: FrameProcessor) -> bool:
    """Whether a service will fail again for certain: one bad request, such as a text it won't say, is no reason."""
    return error.fatal or not service.is_usable or category(error) in REFUSALS
