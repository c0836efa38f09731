"""Groq's LLMs, speech-to-text (Whisper) and text-to-speech, for the table of providers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.providers.openai import ChatOptions
from pipeline.providers.spec import Options, Spec, over_http, thinks_over_http


class GroqChatOptions(ChatOptions):
    """Options of Groq's brain."""

    reasoning_effort: Literal["none", "default", "low", "medium", "high"] | None = None


class WhisperOptions(Options):
    """Options of Groq's Whisper."""

    model: str | None = None
    prompt: str | None = None
    temperature: float | None = Field(None, ge=0, le=1)


class GroqTTSOptions(Options):
    """options of Groq's text-to-speech."""

    model: str | None = None
    speed: float | None = Field(None, ge=0.5, le=5)


SPECS = {
    ("llm", "groq"): Spec(
        service="pipecat.services.groq.llm:GroqLLMService",
        make=thinks_over_http,
        options=GroqChatOptions,
        needs=("groq_api_key",),
        key="groq_api_key",
    ),
    ("stt", "groq"): Spec(
        service="pipeline.providers.whisper:GroqSTT",
        make=over_http,
        options=WhisperOptions,
        needs=("groq_api_key",),
        key="groq_api_key",
    ),
    ("tts", "groq"): Spec(
        service="pipecat.services.groq.tts:GroqTTSService",
        make=over_http,
        options=GroqTTSOptions,
        needs=("groq_api_key",),
        key="groq_api_key",
    ),
}
