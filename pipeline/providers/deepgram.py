"""Deepgram's streaming speech-to-text and its text-to-speech, for the table of providers."""

from __future__ import annotations

from pydantic import Field

from pipeline.providers.spec import Options, Spec, hosted


class DeepgramSTTOptions(Options):
    """Options of Deepgram's speech-to-text."""

    model: str | None = None
    keyterm: list[str] | None = None
    numerals: bool | None = None
    profanity_filter: bool | None = None
    punctuate: bool | None = None
    smart_format: bool | None = None
    redact: list[str] | None = None
    mip_opt_out: bool | None = None


class DeepgramTTSOptions(Options):
    """options of Deepgram's text-to-speech; its model is part of the voice's name."""

    speed: float | None = Field(None, ge=0.7, le=1.5)
    mip_opt_out: bool | None = None


SPECS = {
    ("stt", "deepgram"): Spec(
        service="pipecat.services.deepgram.stt:DeepgramSTTService",
        make=hosted,
        options=DeepgramSTTOptions,
        arguments=frozenset({"mip_opt_out"}),
        needs=("deepgram_api_key",),
        key="deepgram_api_key",
    ),
    ("tts", "deepgram"): Spec(
        service="pipecat.services.deepgram.tts:DeepgramTTSService",
        make=hosted,
        options=DeepgramTTSOptions,
        arguments=frozenset({"mip_opt_out"}),
        needs=("deepgram_api_key",),
        key="deepgram_api_key",
    ),
}
