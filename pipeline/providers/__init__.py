"""Speech-to-text, LLMs and text-to-speech by name: which exist, whether a choice can work, and how to make one.

A provider's file is imported when it is asked for, and Pipecat's service only when it is made or preloaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline.errors import BadOption, MissingKey, UnknownProvider
from pipeline.providers.spec import KINDS, Kind, Options, Provider, Request, Spec
from pipeline.settings import variable

if TYPE_CHECKING:
    from pipecat.services.llm_service import LLMService
    from pipecat.services.stt_service import STTService
    from pipecat.services.tts_service import TTSService

    from pipeline.settings import PipelineSettings

__all__ = [
    "KINDS",
    "TABLE",
    "Kind",
    "Provider",
    "check",
    "check_choice",
    "default",
    "known_languages",
    "known_voices",
    "make_llm",
    "make_stt",
    "make_tts",
    "preload",
    "spec_of",
    "usable",
]

TABLE: Mapping[Kind, Mapping[str, str]] = {
    "stt": {
        "moonshine": "local",
        "assemblyai": "assemblyai",
        "cartesia": "cartesia",
        "deepgram": "deepgram",
        "elevenlabs": "elevenlabs",
        "groq": "groq",
        "openai": "openai",
    },
    "llm": {"rules": "local", "groq": "groq", "openai": "openai", "openai-compatible": "openai"},
    "tts": {
        "hibari": "local",
        "cartesia": "cartesia",
        "deepgram": "deepgram",
        "elevenlabs": "elevenlabs",
        "groq": "groq",
        "inworld": "inworld",
        "openai": "openai",
    },
}
"""Kind -> provider's name -> the file here that has it."""


def spec_of(kind: Kind, name: str) -> Spec:
    """Find a provider.

    Args:
        kind: "stt", "llm" or "tts".
        name: The provider's name.

    Raises:
        UnknownProvider: There is none of this name.
    """
    module = TABLE[kind].get(name)
    if module is None:
        raise UnknownProvider(kind, name, TABLE[kind])
    found: Spec = importlib.import_module(f"{__name__}.{module}").SPECS[kind, name]
    return found


def default(kind: Kind, settings: PipelineSettings) -> Provider:
    """The deployment's own choice, for agents that make none."""
    options: dict[str, object] = dict(getattr(settings, f"{kind}_options"))
    if kind == "llm" and settings.llm_model:
        options["model"] = settings.llm_model
    return Provider(getattr(settings, kind), options)


def check_choice(kind: Kind, choice: Provider, *, voice: str | None = None, language: str | None = None) -> Options:
    """Check all that can be known without the deployment's keys.

    Args:
        kind: "stt", "llm" or "tts".
        choice: The provider and its options.
        voice: The voice asked for; only looked at for tts.
        language: The language asked for; not looked at for llm.

    Returns:
        The options, typed.

    Raises:
        UnknownProvider: There is none of this name.
        BadOption: An option, the voice or the language is not one it takes.
    """
    spec = spec_of(kind, choice.name)
    allowed = spec.options.model_fields
    try:
        options = spec.options.model_validate(dict(choice.options))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        why = "is not known" if first["type"] == "extra_forbidden" else f"is wrong: {first['msg']}"
        raise BadOption(kind, choice.name, name, why, allowed) from None
    fault = spec.voice_fault(voice) if kind == "tts" and voice is not None and spec.voice_fault is not None else None
    if fault is not None:
        raise BadOption(kind, choice.name, "voice", fault, allowed)
    if language is not None and spec.languages is not None and language.partition("-")[0] not in spec.languages:
        raise BadOption(kind, choice.name, "language", f"must be one of {', '.join(sorted(spec.languages))}", allowed)
    return options


def check(
    kind: Kind,
    choice: Provider,
    settings: PipelineSettings,
    *,
    voice: str | None = None,
    language: str | None = None,
) -> Options:
    """Check that a choice can be made to work, without the network and without importing Pipecat.

    Args:
        kind: "stt", "llm" or "tts".
        choice: The provider and its options.
        settings: The deployment's, for keys.
        voice: The voice to speak with; only looked at for tts.
        language: The language of the call; not looked at for llm.

    Returns:
        The options, typed.

    Raises:
        UnknownProvider: There is none of this name.
        BadOption: An option is unknown or wrong, or a voice is needed and missing.
        MissingKey: An environment variable it needs is not set.
    """
    options = check_choice(kind, choice, voice=voice, language=language)
    spec = spec_of(kind, choice.name)
    for need in spec.needs:
        if getattr(settings, need) is None:
            raise MissingKey(kind, choice.name, variable(need))
    if kind == "tts" and spec.voice_required and not voice:
        why = "is needed, as it has no voice of its own: set voice in the agent, or GREENROOM_VOICE"
        raise BadOption(kind, choice.name, "voice", why, spec.options.model_fields)
    return options


def usable(settings: PipelineSettings) -> dict[Kind, list[str]]:
    """The providers that have all they need from the environment, by kind; a voice is not looked at."""
    return {
        kind: [
            name
            for name in TABLE[kind]
            if all(getattr(settings, need) is not None for need in spec_of(kind, name).needs)
        ]
        for kind in KINDS
    }


def known_languages(settings: PipelineSettings) -> dict[str, list[str]]:
    """What usable providers understand, by kind, slash and name; without those that understand many."""
    specs = {f"{kind}/{name}": spec_of(kind, name) for kind, names in usable(settings).items() for name in names}
    return {name: sorted(spec.languages) for name, spec in specs.items() if spec.languages is not None}


def known_voices(settings: PipelineSettings) -> dict[str, list[str]]:
    """The voices of usable providers, by kind, slash and name; without those whose voices are not known here."""
    specs = {f"tts/{name}": spec_of("tts", name) for name in usable(settings)["tts"]}
    return {name: sorted(spec.voices()) for name, spec in specs.items() if spec.voices is not None}


def _make(
    kind: Kind,
    choice: Provider,
    settings: PipelineSettings,
    *,
    voice: str | None = None,
    language: str | None = None,
    prompt: str | None = None,
) -> Any:
    options = check(kind, choice, settings, voice=voice, language=language)
    spec = spec_of(kind, choice.name)
    return spec.make(spec.load(), Request(options, settings, voice, language, prompt), spec)


def make_stt(choice: Provider, settings: PipelineSettings, *, language: str) -> STTService:
    """Make the ears of one call.

    Args:
        choice: The provider and its options.
        settings: The deployment's.
        language: BCP 47 tag of the language that will be spoken.

    Raises:
        ProviderError: As `check` does.
    """
    made: STTService = _make("stt", choice, settings, language=language)
    return made


def make_llm(choice: Provider, settings: PipelineSettings, *, prompt: str | None = None) -> LLMService:
    """Make the LLM of one call.

    Args:
        choice: The provider and its options.
        settings: The deployment's.
        prompt: What it is told to be.

    Raises:
        ProviderError: As `check` does.
    """
    made: LLMService = _make("llm", choice, settings, prompt=prompt)
    return made


def make_tts(choice: Provider, settings: PipelineSettings, *, voice: str | None, language: str) -> TTSService:
    """Make the voice of one call.

    Args:
        choice: The provider and its options.
        settings: The deployment's.
        voice: Voice to speak with; None is the provider's own.
        language: BCP 47 tag of the language to speak.

    Raises:
        ProviderError: As `check` does.
    """
    made: TTSService = _make("tts", choice, settings, voice=voice, language=language)
    return made


def preload(kind: Kind, choice: Provider, phrases: Sequence[str] = (), voice: str | None = None) -> None:
    """Import a provider's service and load its models, once in a process, before calls are forked from it.

    Args:
        kind: "stt", "llm" or "tts".
        choice: The provider.
        phrases: What will be said first, such as greetings; a local voice makes their audio now.
        voice: The voice that will say them; None is the provider's own.

    Raises:
        UnknownProvider: There is none of this name.
    """
    spec = spec_of(kind, choice.name)
    spec.load()
    if spec.warm is not None:
        spec.warm(phrases, voice)
