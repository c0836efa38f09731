"""ElevenLabs' streaming speech-to-text and its text-to-speech, for the table of providers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.providers.spec import Options, Spec, hosted


class ElevenLabsSTTOptions(Options):
    """Options of ElevenLabs' ears."""

    model: str | None = None
    keyterms: list[str] | None = None
    no_verbatim: bool | None = None
    filter_background_audio: bool | None = None


class ElevenLabsTTSOptions(Options):
    """Options of ElevenLabs' voice."""

    model: str | None = None
    stability: float | None = Field(None, ge=0, le=1)
    similarity_boost: float | None = Field(None, ge=0, le=1)
    style: float | None = Field(None, ge=0, le=1)
    use_speaker_boost: bool | None = None
    speed: float | None = Field(None, ge=0.7, le=1.2)
    apply_text_normalization: Literal["auto", "on", "off"] | None = None


SPECS = {
    ("stt", "elevenlabs"): Spec(
        service="pipecat.services.elevenlabs.stt:ElevenLabsRealtimeSTTService",
        make=hosted,
        options=ElevenLabsSTTOptions,
        needs=("elevenlabs_api_key",),
        key="elevenlabs_api_key",
    ),
    ("tts", "elevenlabs"): Spec(
        service="pipecat.services.elevenlabs.tts:ElevenLabsTTSService",
        make=hosted,
        options=ElevenLabsTTSOptions,
        voice_required=True,
        needs=("elevenlabs_api_key",),
        key="elevenlabs_api_key",
    ),
}
