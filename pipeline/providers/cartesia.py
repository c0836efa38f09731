"""Cartesia's streaming speech-to-text and its text-to-speech, for the table of providers."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.providers.spec import Options, Request, Spec, hosted, values


class CartesiaSTTOptions(Options):
    """Options of Cartesia's speech-to-text."""

    model: str | None = None
    keyterm: list[str] | None = None


class CartesiaTTSOptions(Options):
    """options of Cartesia's text-to-speech."""

    model: str | None = None
    volume: float | None = Field(None, ge=0.5, le=2)
    speed: float | None = Field(None, ge=0.6, le=1.5)
    emotion: str | None = None
    pronunciation_dict_id: str | None = None


def _voice(service: Any, request: Request, spec: Spec) -> Any:
    from pipecat.services.cartesia.tts import GenerationConfig

    arguments, chosen = values(request, spec)
    manner = {name: chosen.pop(name) for name in ("volume", "speed", "emotion") if name in chosen}
    if manner:
        chosen["generation_config"] = GenerationConfig(**manner)
    return service(**arguments, settings=service.Settings(**chosen))


SPECS = {
    ("stt", "cartesia"): Spec(
        service="pipecat.services.cartesia.stt:CartesiaSTTService",
        make=hosted,
        options=CartesiaSTTOptions,
        needs=("cartesia_api_key",),
        key="cartesia_api_key",
    ),
    ("tts", "cartesia"): Spec(
        service="pipecat.services.cartesia.tts:CartesiaTTSService",
        make=_voice,
        options=CartesiaTTSOptions,
        voice_required=True,
        needs=("cartesia_api_key",),
        key="cartesia_api_key",
    ),
}
