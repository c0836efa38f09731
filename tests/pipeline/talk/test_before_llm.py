"""The caller's words are kept before the brain works on them."""

from __future__ import annotations

import pytest
from pipecat.frames.frames import Frame, LLMContextFrame, TextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import run_test

from pipeline.talk.before_llm import BeforeLLM

pytestmark = pytest.mark.anyio


async def test_it_happens_before_each_context_and_before_nothing_else() -> None:
    happened: list[str] = []

    async def before() -> None:
        happened.append("kept")

    frames: list[Frame] = [TextFrame("a"), LLMContextFrame(LLMContext([])), LLMContextFrame(LLMContext([]))]
    down, _ = await run_test(
        BeforeLLM(before),
        frames_to_send=frames,
        expected_down_frames=[TextFrame, LLMContextFrame, LLMContextFrame],
    )
    assert happened == ["kept", "kept"]
    assert len(down) == 3
