"""A server that speaks OpenAI's chat completions without streaming: a judge for tests."""

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from tests.pipeline.providers.openai_server import OpenAIServer


class JudgingServer(OpenAIServer):
    """Gives every request the same answer."""

    def __init__(self, said: str) -> None:
        super().__init__()
        self.said = said

    async def complete(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.keys.append(request.headers.get("authorization", ""))
        message: dict[str, Any] = {"role": "assistant", "content": self.said}
        return JSONResponse({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
