"""OpenAI's LLMs, speech-to-text and text-to-speech, and any server that speaks its chat completions."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.providers.spec import (
    Options,
    Request,
    Spec,
    in_time_for_an_answer,
    over_http,
    secret,
    thinks_over_http,
    values,
)


class ChatOptions(Options):
    """Options of an LLM that speaks OpenAI's chat completions."""

    model: str | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = None


class OpenAIChatOptions(ChatOptions):
    """Options of OpenAI's brain."""

    service_tier: str | None = None


class OpenAISTTOptions(Options):
    """Options of OpenAI's transcription."""

    model: str | None = None
    prompt: str | None = None
    temperature: float | None = Field(None, ge=0, le=1)
    keywords: list[str] | None = None


class OpenAITTSOptions(Options):
    """options of OpenAI's text-to-speech."""

    model: str | None = None
    instructions: str | None = None
    speed: float | None = Field(None, ge=0.25, le=4)


VOICES = (
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
)
"""Pipecat 1.14 refuses others, but only once it speaks."""


def _voice_fault(voice: str) -> str | None:
    return None if voice in VOICES else f"must be one of {', '.join(VOICES)}"


def _compatible(service: Any, request: Request, spec: Spec) -> Any:
    settings = request.settings
    arguments, chosen = values(request, spec)
    arguments["base_url"] = settings.openai_base_url
    # Without a key the SDK would take OPENAI_API_KEY and send it to this other server.
    arguments["api_key"] = secret(settings, "openai_server_key") or "none"
    made = service(**arguments, settings=service.Settings(**chosen))
    # Servers other than OpenAI's seldom know the role "developer", which Pipecat gives to notes of its own.
    made.supports_developer_role = False
    return in_time_for_an_answer(made, request)


SPECS = {
    ("llm", "openai"): Spec(
        service="pipecat.services.openai.llm:OpenAILLMService",
        make=thinks_over_http,
        options=OpenAIChatOptions,
        arguments=frozenset({"service_tier"}),
        needs=("openai_api_key",),
        key="openai_api_key",
    ),
    ("llm", "openai-compatible"): Spec(
        service="pipecat.services.openai.llm:OpenAILLMService",
        make=_compatible,
        options=ChatOptions,
        needs=("openai_base_url",),
        uses=("openai_server_key",),
    ),
    ("stt", "openai"): Spec(
        service="pipeline.providers.whisper:OpenAISTT",
        make=over_http,
        options=OpenAISTTOptions,
        needs=("openai_api_key",),
        key="openai_api_key",
    ),
    ("tts", "openai"): Spec(
        service="pipecat.services.openai.tts:OpenAITTSService",
        make=over_http,
        options=OpenAITTSOptions,
        voice_fault=_voice_fault,
        needs=("openai_api_key",),
        key="openai_api_key",
    ),
}
