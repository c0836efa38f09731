"""The ears, brain and voice that run here with no key and no network: moonshine, rules, hibari."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.providers.spec import Request, Spec


def _plain(service: Any, request: Request, spec: Spec) -> Any:
    return service()


def _spoken(service: Any, request: Request, spec: Spec) -> Any:
    return service(voice=request.voice) if request.voice else service()


def _warm_moonshine(phrases: Sequence[str]) -> None:
    from pipeline.local import moonshine

    moonshine.preload()


def _warm_hibari(phrases: Sequence[str]) -> None:
    from pipeline.local import hibari

    hibari.preload(phrases)


ENGLISH = frozenset({"en"})

SPECS = {
    ("stt", "moonshine"): Spec(
        service="pipeline.local.moonshine:MoonshineSTT", make=_plain, languages=ENGLISH, warm=_warm_moonshine
    ),
    ("llm", "rules"): Spec(service="pipeline.local.brain:RuleBrain", make=_plain),
    ("tts", "hibari"): Spec(
        service="pipeline.local.hibari:HibariTTS",
        make=_spoken,
        # The other voices of hibari-tts 0.2.1 are downloaded on first use, which would be in a call.
        voices=frozenset({"heart"}),
        languages=ENGLISH,
        warm=_warm_hibari,
    ),
}
