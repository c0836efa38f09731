"""The OpenAI-compatible brain against a real server: streamed text, a streamed tool call, and every way to fail."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
from pipecat.frames.frames import ErrorFrame, Frame, LLMFullResponseEndFrame, LLMRunFrame, LLMTextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner
from pydantic import SecretStr

from pipeline.agents.tools import Call, ToolFunction, describe, register_tools, tools_schema
from pipeline.providers import Provider, make_llm
from pipeline.resume.journal import Journal
from pipeline.settings import PipelineSettings
from tests.pipeline.providers.openai_server import OpenAIServer, chunk, text_answer, tool_answer

pytestmark = pytest.mark.anyio


class Collector(FrameProcessor):
    """Keeps the words and errors that pass."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.ends = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            self.text += frame.text
        if isinstance(frame, LLMFullResponseEndFrame):
            self.ends += 1
        await self.push_frame(frame, direction)


class Talk:
    """One brain between two context aggregators, asked once."""

    def __init__(self, settings: PipelineSettings, tools: Sequence[ToolFunction], choice: Provider) -> None:
        self.llm = make_llm(choice, settings, prompt="Be kind.")
        described = tuple(describe(tool) for tool in tools)
        call = Call("session_1", "default", nothing)
        register_tools(self.llm, described, call, Journal(), timeout=settings.tool_timeout)
        schema = tools_schema(described)
        messages: list[Any] = [{"role": "user", "content": "Hello?"}]
        self.context = LLMContext(messages, tools=schema) if schema else LLMContext(messages)
        pair = LLMContextAggregatorPair(self.context)
        self.collector = Collector()
        self.worker = PipelineWorker(
            Pipeline([pair.user(), self.llm, self.collector, pair.assistant()]),
            enable_rtvi=False,
            idle_timeout_secs=None,
        )
        self.errors: list[ErrorFrame] = []
        self.worker.add_event_handler("on_pipeline_error", self.failed)

    async def failed(self, worker: PipelineWorker, frame: ErrorFrame) -> None:
        self.errors.append(frame)

    async def until(self, done: Callable[[], bool]) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        task = asyncio.create_task(runner.run(), name="talk")
        await self.worker.queue_frame(LLMRunFrame())
        try:
            async with asyncio.timeout(8):
                while not done():  # noqa: ASYNC110 - what is waited for lies in Pipecat's own objects
                    await asyncio.sleep(0.01)
        finally:
            await self.worker.cancel()
            await task
            # Pipecat leaves it to the end of the process.
            await cast(Any, self.llm)._client.close()


async def nothing() -> None:
    pass


def settings_for(server: OpenAIServer, **more: Any) -> PipelineSettings:
    return PipelineSettings(
        _env_file=None, openai_base_url=server.url, openai_api_key=SecretStr("sk-not-theirs"), **more
    )


async def talk(
    *answers: Any,
    until: Callable[[Talk], bool],
    tools: Sequence[Callable[..., Awaitable[object]]] = (),
    options: dict[str, object] | None = None,
    **more: Any,
) -> tuple[Talk, OpenAIServer]:
    async with OpenAIServer(*answers).serving() as server:
        talking = Talk(settings_for(server, **more), tools, Provider("openai-compatible", options or {}))
        await talking.until(lambda: until(talking))
        return talking, server


async def test_streamed_words_arrive_in_order_and_options_reach_the_server() -> None:
    talking, server = await talk(
        text_answer("Hello", " there", "."),
        until=lambda talking: talking.collector.ends == 1,
        options={"model": "tiny", "temperature": 0.25},
    )
    assert talking.collector.text == "Hello there."
    assert talking.errors == []
    assert server.requests[0]["model"] == "tiny"
    assert server.requests[0]["temperature"] == 0.25
    assert server.requests[0]["stream"] is True


async def test_the_server_gets_the_prompt_before_the_conversation_each_time() -> None:
    async def look() -> str:
        """Look."""
        return "Five."

    _, server = await talk(
        tool_answer("look", "{}"),
        text_answer("Five."),
        until=lambda talking: talking.collector.text == "Five.",
        tools=[look],
    )
    roles = [[message["role"] for message in request["messages"]] for request in server.requests]
    assert roles == [["system", "user"], ["system", "user", "assistant", "tool"]]
    assert {request["messages"][0]["content"] for request in server.requests} == {"Be kind."}


async def test_openais_own_key_is_not_sent_to_another_server() -> None:
    _, plain = await talk(text_answer("Hi."), until=lambda talking: talking.collector.ends == 1)
    _, keyed = await talk(
        text_answer("Hi."), until=lambda talking: talking.collector.ends == 1, openai_server_key=SecretStr("theirs")
    )
    assert plain.keys == ["Bearer none"]
    assert keyed.keys == ["Bearer theirs"]


async def test_a_streamed_tool_call_runs_with_converted_arguments_and_its_result_is_sent_back() -> None:
    ran: list[object] = []

    async def book(guests: int, outside: bool = False) -> dict[str, int]:
        """Book a table."""
        ran.append((guests, outside))
        return {"table": 7}

    talking, server = await talk(
        tool_answer("book", '{"gue', 'sts": "4', '", "outside"', ": true}"),
        text_answer("Table", " seven."),
        until=lambda talking: talking.collector.text == "Table seven.",
        tools=[book],
    )
    assert ran == [(4, True)]
    offered = server.requests[0]["tools"][0]["function"]
    assert offered["name"] == "book"
    assert offered["parameters"]["required"] == ["guests"]
    answer = server.requests[1]["messages"][-1]
    assert (answer["role"], answer["tool_call_id"], answer["content"]) == ("tool", "call_1", '{"table": 7}')
    assert talking.errors == []


async def test_a_tool_that_raises_is_told_to_the_brain_and_the_talk_goes_on() -> None:
    async def book(guests: int) -> str:
        """Book a table."""
        raise RuntimeError("the database is at 10.0.0.1")

    talking, server = await talk(
        tool_answer("book", '{"guests": 2}'),
        text_answer("Sorry."),
        until=lambda talking: talking.collector.text == "Sorry.",
        tools=[book],
    )
    assert server.requests[1]["messages"][-1]["content"] == '{"error": "The tool book failed."}'
    assert talking.errors == []


@pytest.mark.parametrize("status", [401, 500])
async def test_a_refusal_is_an_error_and_the_answer_ends(status: int) -> None:
    talking, _ = await talk(status, until=lambda talking: bool(talking.errors) and talking.collector.ends == 1)
    assert str(status) in talking.errors[0].error


@pytest.mark.parametrize("answer", ["hang", [chunk({"content": "Well"}), {"hang": True}]], ids=["silent", "stalled"])
async def test_a_server_that_falls_silent_is_an_error_and_no_hang(answer: Any) -> None:
    talking, _ = await talk(
        answer, until=lambda talking: bool(talking.errors) and talking.collector.ends == 1, provider_timeout=0.2
    )
    assert talking.errors
