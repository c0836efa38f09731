"""Inworld's streaming text-to-speech, for the table of providers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.providers.spec import Options, Spec, hosted


class InworldOptions(Options):
    """options of Inworld's text-to-speech."""

    model: str | None = None
    speaking_rate: float | None = Field(None, ge=0.5, le=1.5)
    temperature: float | None = Field(None, gt=0, le=2)
    delivery_mode: Literal["STABLE", "BALANCED", "CREATIVE"] | None = None


SPECS = {
    ("tts", "inworld"): Spec(
        service="pipecat.services.inworld.tts:InworldTTSService",
        make=hosted,
        options=InworldOptions,
        needs=("inworld_api_key",),
        key="inworld_api_key",
    ),
}
