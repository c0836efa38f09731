"""A small server that speaks OpenAI's chat completions over real HTTP: streamed text and streamed tool calls."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "tiny",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def text_answer(*pieces: str) -> list[dict[str, Any]]:
    return [
        chunk({"role": "assistant", "content": ""}),
        *[chunk({"content": piece}) for piece in pieces],
        chunk({}, "stop"),
    ]


def tools_answer(*names: str) -> list[dict[str, Any]]:
    """Several tools at once, without arguments."""
    calls = [
        {"index": at, "id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for at, name in enumerate(names)
    ]
    return [*[chunk({"role": "assistant", "tool_calls": [call]}) for call in calls], chunk({}, "tool_calls")]


def tool_answer(name: str, *pieces: str) -> list[dict[str, Any]]:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
    return [
        chunk({"role": "assistant", "content": None, "tool_calls": [first]}),
        *[chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces],
        chunk({}, "tool_calls"),
    ]


class OpenAIServer:
    """Answers each request with the next of its answers: chunks to stream, a status, or "hang"."""

    def __init__(self, *answers: list[dict[str, Any]] | int | str) -> None:
        self.answers = list(answers)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.released = asyncio.Event()
        self.url = ""
        self.app = FastAPI()
        self.app.post("/v1/chat/completions", response_model=None)(self.complete)

    async def complete(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.keys.append(request.headers.get("authorization", ""))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            said = {"error": {"message": "no", "type": "test", "code": None}}
            return JSONResponse(said, status_code=answer, headers={"Retry-After": "30"} if answer == 429 else None)
        if answer == "hang":
            await self.released.wait()
            return JSONResponse({}, status_code=503)
        assert isinstance(answer, list)
        return StreamingResponse(self.stream(answer), media_type="text/event-stream")

    async def stream(self, chunks: list[dict[str, Any]]) -> AsyncIterator[str]:
        for item in chunks:
            if item == {"hang": True}:
                await self.released.wait()
                return
            if item == {"break": True}:
                raise ConnectionResetError
            if "pause" in item:
                await asyncio.sleep(item["pause"])
                continue
            yield f"data: {json.dumps(item)}\n\n"
            await asyncio.sleep(0)
        yield "data: [DONE]\n\n"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        config = uvicorn.Config(self.app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[method-assign,attr-defined]
        task = asyncio.create_task(server.serve(), name="openai server")
        async with asyncio.timeout(5):
            while not server.started:  # noqa: ASYNC110 - uvicorn has a flag and no event
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1"
        try:
            yield self
        finally:
            self.released.set()
            server.should_exit = True
            await task
