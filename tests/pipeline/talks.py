"""Conversations that run, with the local brain and voice or a server's brain, and what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from pipecat.services.llm_service import LLMService
from pydantic import SecretStr

from pipeline.agents.definition import Agent
from pipeline.agents.tools import end_call
from pipeline.fallback.candidates import Candidate, OwnCircuits
from pipeline.local import tts as hibari
from pipeline.providers import Provider
from pipeline.providers.spec import let_go
from pipeline.resume.restore import Restored
from pipeline.settings import PipelineSettings
from pipeline.talk.audio_ends import OUT_RATE
from pipeline.talk.build import Analyzers, make_analyzers
from pipeline.talk.conversation import Conversation, Keep
from pipeline.talk.services import make_services
from tests.pipeline.providers.openai_server import OpenAIServer
from tests.pipeline.stage import FakeSink, Notes

GREETING = "Good day."
MOMENT_PCM = b"\5\0" * (OUT_RATE // 2)


def warm() -> Analyzers:
    """The listening models, with the voice loaded too: on a busy machine that takes longer than Pipecat waits."""
    hibari.preload()
    return make_analyzers(PipelineSettings(turn="silence"))


class Talk:
    """A running conversation and what came of it."""

    def __init__(self, conversation: Conversation, sink: FakeSink, notes: Notes) -> None:
        self.conversation, self.sink, self.notes = conversation, sink, notes
        self.requests: list[dict[str, Any]] = []

    @property
    def said(self) -> str:
        return " ".join(text for text, _ in self.notes.agent if text)


@asynccontextmanager
async def talking(
    analyzers: Analyzers,
    settings: PipelineSettings | None = None,
    *,
    plays: bool = True,
    restored: Restored | None = None,
    keep: Keep | None = None,
    brains: Sequence[Candidate[LLMService[Any]]] | None = None,
    **agent: Any,
) -> AsyncIterator[Talk]:
    settings = settings or PipelineSettings(turn="silence")
    sink, notes = FakeSink(instant=plays), Notes()
    facts = {"name": "a", "prompt": "Be kind.", "greeting": GREETING, "tools": [end_call], **agent}
    resolved = Agent(**facts).resolve(settings)
    made = make_services(resolved, settings, OwnCircuits(), owner="session_a", noticed=notes.noticed)
    conversation = Conversation(
        resolved,
        settings,
        analyzers,
        sink=sink,
        listener=notes,
        session_id="session_a",
        restored=restored,
        keep=keep,
        moment=MOMENT_PCM,
        services=replace(made, llm=brains or made.llm),
    )
    running = asyncio.create_task(conversation.run(), name="conversation")
    try:
        async with asyncio.timeout(20):
            await conversation.started()
        yield Talk(conversation, sink, notes)
    finally:
        await conversation.stop()
        async with asyncio.timeout(10):
            await running
        for service in conversation._llm.services:
            await let_go(service)  # Pipecat leaves it to the end of the process


@asynccontextmanager
async def asking(analyzers: Analyzers, *answers: Any, patience: float = 8.0, **more: Any) -> AsyncIterator[Talk]:
    """A conversation whose brain is a server that gives these answers; `patience`: the caller's, in seconds."""
    async with OpenAIServer(*answers).serving() as server:
        settings = PipelineSettings(
            _env_file=None,
            turn="silence",
            answer_seconds=patience,
            openai_base_url=server.url,
            openai_server_key=SecretStr("key"),
        )
        llm = Provider("openai-compatible", {"model": "tiny"})
        async with talking(analyzers, settings, llm=llm, **more) as talk:
            talk.requests = server.requests
            yield talk
