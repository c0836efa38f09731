"""The providers that run here with no key and no network: moonshine, rules, hibari."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pipeline.providers.spec import Request, Spec


def _plain(service: Any, request: Request, spec: Spec) -> Any:
    return service()


def _told(service: Any, request: Request, spec: Spec) -> Any:
    return service(prompt=request.prompt)


def _spoken(service: Any, request: Request, spec: Spec) -> Any:
    return service(voice=request.voice) if request.voice else service()


def _warm_moonshine(phrases: Sequence[str], voice: str | None) -> None:
    from pipeline.local.stt import preload

    preload()


def _warm_hibari(phrases: Sequence[str], voice: str | None) -> None:
    from pipeline.local.tts import preload

    if voice:
        preload(phrases, voice)
    else:
        preload(phrases)


def _hibari_voice_fault(voice: str) -> str | None:
    if voice in BUNDLED:
        return None
    from pipeline.local.tts import VoiceMissing, voice_named

    try:
        voice_named(voice)
    except VoiceMissing as missing:
        return f"cannot be had: {missing}"
    return None


def _hibari_voices() -> list[str]:
    from hibari.voices import VOICES, voice_path

    here = set()
    for name in VOICES:
        with suppress(FileNotFoundError):
            voice_path(name, download_missing=False)
            here.add(name)
    return [*here, *(accent for accent, name in ACCENTS.items() if name in here)]


ACCENTS = {"american": "heart", "british": "emma"}
"""Other names of hibari's voices."""

BUNDLED = ("heart", "american")
"""Names of the voice inside hibari-tts 0.2.1; for any other, whether it is here is only known with Pipecat imported."""

ENGLISH = frozenset({"en"})

SPECS = {
    ("stt", "moonshine"): Spec(
        service="pipeline.local.stt:MoonshineSTT", make=_plain, languages=ENGLISH, warm=_warm_moonshine
    ),
    ("llm", "rules"): Spec(service="pipeline.local.rule_brain.service:RuleBrain", make=_told),
    ("tts", "hibari"): Spec(
        service="pipeline.local.tts:HibariTTS",
        make=_spoken,
        voice_fault=_hibari_voice_fault,
        voices=_hibari_voices,
        languages=ENGLISH,
        warm=_warm_hibari,
    ),
}
