"""A candidate's service in use: connected and left without anybody waiting, and heard only between the two."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import ErrorFrame, Frame, StartFrame, TextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.utils.errors import ErrorCategory

from pipeline.fallback.branch import Branch, category, is_permanent
from pipeline.fallback.candidates import Candidate
from runtime.background import Background
from tests.pipeline.stage import running, until

pytestmark = pytest.mark.anyio


class SlowToConnect(FrameProcessor):
    """A service that connects when it is let, and then says each text back."""

    def __init__(self) -> None:
        super().__init__()
        self.let, self.cleaned = asyncio.Event(), False

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        await super().setup(setup)
        await self.let.wait()

    async def cleanup(self) -> None:
        await super().cleanup()
        self.cleaned = True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Owner(FrameProcessor):
    """A processor with one branch."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.tasks = Background("session_a")
        self.said: list[Frame] = []
        self.failed: list[ErrorFrame] = []
        candidate: Candidate[Any] = Candidate("slow", "tts/slow/1", SlowToConnect)
        self.branch = Branch(candidate, self.tasks, said=self.hear, failed=self.fail)

    async def hear(self, _: object, frame: Frame) -> None:
        self.said.append(frame)

    async def fail(self, _: object, error: ErrorFrame) -> None:
        self.failed.append(error)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self.branch.begin(self.processor_setup, frame)
        await self.push_frame(frame, direction)


async def test_what_a_service_is_given_before_it_has_connected_waits_for_it() -> None:
    owner = Owner()
    async with running(owner):
        await owner.branch.give(TextFrame("Hello."))
        assert owner.said == []
        owner.branch.service.let.set()
        await until(lambda: len(owner.said) == 2, "the start and the text")
        assert [type(frame) for frame in owner.said] == [StartFrame, TextFrame]
        await owner.branch.service.push_error("no")
        assert [error.error for error in owner.failed] == ["no"]


async def test_a_service_that_was_left_is_not_heard_and_cleans_up_even_if_it_never_connected() -> None:
    owner = Owner()
    async with running(owner):
        owner.branch.leave()
        owner.branch.leave()
        await until(lambda: owner.branch.service.cleaned, "its clean-up")
        await owner.tasks.settled()
        await owner.branch.give(TextFrame("Hello."))
        await owner.branch.service.push_frame(TextFrame("Late."))
        await owner.branch.service.push_error("no")
        assert owner.said == []
        assert owner.failed == []


@pytest.mark.parametrize(
    ("error", "why", "permanent"),
    [
        (ErrorFrame("Unknown error occurred: Error code: 401 - no"), "authentication", True),
        (ErrorFrame("Error getting audio (status: 429, error: no)"), "rate_limit", False),
        (ErrorFrame("no", exception=ConnectionResetError()), "connectivity", False),
        (ErrorFrame("no", category=ErrorCategory.SERVER), "server", False),
        (ErrorFrame("Error code: 400 - this text is too long"), "invalid_request", False),
        (ErrorFrame("it said 503 words"), "unknown", False),
    ],
)
async def test_a_failure_is_sorted_by_what_is_known_of_it(error: ErrorFrame, why: str, permanent: bool) -> None:
    assert category(error).value == why
    assert is_permanent(error, SlowToConnect()) is permanent
