import asyncio
import threading
from datetime import UTC, datetime

import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMServiceMetadataFrame,
    LLMTextFrame,
    TextFrame,
    UserStartedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.llm_service import FunctionCallParams
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.workers.runner import WorkerRunner

from pipeline.local.rule_brain import service
from pipeline.local.rule_brain.rules import Reply
from pipeline.local.rule_brain.service import RuleBrain, fresh_id, local_now, offered

CLOCK = FunctionSchema("current_time", "Tell the time.", {"timezone": {"type": "string"}}, [])


def noon() -> datetime:
    return datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def asking(text: str, tools: list[FunctionSchema] | None = None) -> LLMContext:
    messages = [{"role": "system", "content": "You are Greenroom."}, {"role": "user", "content": text}]
    return LLMContext(messages, ToolsSchema(standard_tools=tools)) if tools else LLMContext(messages)


def spoken(frames) -> str:
    return "".join(frame.text for frame in frames if isinstance(frame, LLMTextFrame))


@pytest.mark.anyio
async def test_an_answer_streams_token_by_token_between_start_and_end():
    down, _ = await run_test(RuleBrain(now=noon), frames_to_send=[LLMContextFrame(asking("What time is it?"))])
    assert [type(frame) for frame in down if not isinstance(frame, LLMServiceMetadataFrame)] == [
        LLMFullResponseStartFrame, *[LLMTextFrame] * 4, LLMFullResponseEndFrame,
    ]  # fmt: skip
    assert spoken(down) == "It is 12:00 PM."


@pytest.mark.anyio
async def test_rules_that_take_too_long_hold_neither_the_loop_nor_the_caller(monkeypatch):
    over, ticks = threading.Event(), list[float]()

    def slow(*_):
        over.wait(10)
        return Reply("Late.")

    async def tick():
        while True:
            ticks.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.01)

    monkeypatch.setattr(service, "reply", slow)
    monkeypatch.setattr(service, "REPLY_SECONDS", 0.3)
    ticking = asyncio.create_task(tick())
    try:
        down, _ = await run_test(RuleBrain(), frames_to_send=[LLMContextFrame(asking("Hello."))])
    finally:
        over.set()
        ticking.cancel()
    assert spoken(down) == service.TOO_LONG.text
    assert len(ticks) > 10


@pytest.mark.anyio
async def test_the_prompt_says_who_the_brain_is():
    context = LLMContext([{"role": "user", "content": "Who are you?"}])
    down, _ = await run_test(RuleBrain(prompt="You are Ada's clerk."), frames_to_send=[LLMContextFrame(context)])
    assert spoken(down) == "I'm Ada's clerk."


def test_no_two_tool_calls_in_a_context_have_one_name():
    call = {"id": "call_2", "function": {"name": "current_time", "arguments": "{}"}, "type": "function"}
    context = LLMContext([{"role": "assistant", "tool_calls": [call]}, {"role": "user", "content": "And now?"}])
    assert fresh_id(context) == "call_3"


@pytest.mark.anyio
async def test_frames_that_ask_nothing_pass_through():
    down, _ = await run_test(RuleBrain(), frames_to_send=[TextFrame("x"), UserStartedSpeakingFrame()])
    assert {type(frame) for frame in down} >= {TextFrame, UserStartedSpeakingFrame}
    assert LLMFullResponseStartFrame not in {type(frame) for frame in down}


@pytest.mark.anyio
async def test_a_tool_of_the_context_is_called_with_its_arguments():
    brain, asked = RuleBrain(), []

    async def current_time(params: FunctionCallParams) -> None:
        asked.append(dict(params.arguments))
        await params.result_callback("14:05")

    brain.register_function("current_time", current_time)
    context = asking("What time is it in Rome?", [CLOCK])
    down, _ = await run_test(brain, frames_to_send=[LLMContextFrame(context), SleepFrame(0.1)])
    assert asked == [{"timezone": "Europe/Rome"}]
    assert [frame.result for frame in down if isinstance(frame, FunctionCallResultFrame)] == ["14:05"]
    assert [frame.function_name for frame in down if isinstance(frame, FunctionCallInProgressFrame)] == ["current_time"]
    assert spoken(down) == ""


@pytest.mark.anyio
async def test_a_tools_result_comes_back_through_the_context_and_is_spoken():
    brain = RuleBrain()

    async def current_time(params: FunctionCallParams) -> None:
        await params.result_callback("Monday, 23 November 2026, 14:05")

    brain.register_function("current_time", current_time)
    context = asking("What time is it?", [CLOCK])
    pair = LLMContextAggregatorPair(context)
    worker = PipelineWorker(Pipeline([brain, pair.assistant()]), cancel_on_idle_timeout=False, enable_rtvi=False)
    runner = WorkerRunner()
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frame(LLMContextFrame(context))
    try:
        async with asyncio.timeout(10):
            while context.messages[-1].get("content") != "It is 14:05.":  # noqa: ASYNC110 - Pipecat's context has no event
                await asyncio.sleep(0.01)
    finally:
        await worker.cancel()
        await running
    assert [message["role"] for message in context.messages] == ["system", "user", "assistant", "tool", "assistant"]


@pytest.mark.anyio
async def test_two_brains_that_see_the_same_messages_say_the_same():
    messages = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Nice to meet you, Ada."},
    ]
    context = LLMContext([*messages, {"role": "user", "content": "What's my name?"}])
    first, _ = await run_test(RuleBrain(), frames_to_send=[LLMContextFrame(context)])
    second, _ = await run_test(RuleBrain(), frames_to_send=[LLMContextFrame(context)])
    assert spoken(first) == spoken(second) == "Your name is Ada."


def test_the_tools_of_a_context_are_read_from_their_schemas():
    tools = offered(asking("Hello", [FunctionSchema("f", "Does.", {"x": {"type": "integer"}}, ["x"])]))
    assert [(tool.name, dict(tool.properties), tool.required) for tool in tools] == [
        ("f", {"x": {"type": "integer"}}, ("x",))
    ]
    assert offered(asking("Hello")) == []


def test_the_time_it_tells_has_a_zone():
    assert local_now().tzinfo is not None
