"""AssemblyAI's streaming speech-to-text, for the table of providers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.providers.spec import Options, Spec, hosted


class AssemblyAIOptions(Options):
    """Options of AssemblyAI's speech-to-text; durations in milliseconds. Greenroom judges the end of a turn itself."""

    model: str | None = None
    prompt: str | None = None
    keyterms_prompt: list[str] | None = None
    language_detection: bool | None = None
    format_turns: bool | None = None
    min_turn_silence: int | None = Field(None, ge=0)
    vad_threshold: float | None = Field(None, ge=0, le=1)
    domain: str | None = None
    voice_focus: Literal["near-field", "far-field"] | None = None
    mode: Literal["min_latency", "balanced", "max_accuracy"] | None = None


SPECS = {
    ("stt", "assemblyai"): Spec(
        service="pipecat.services.assemblyai.stt:AssemblyAISTTService",
        make=hosted,
        options=AssemblyAIOptions,
        needs=("assemblyai_api_key",),
        key="assemblyai_api_key",
    ),
}
