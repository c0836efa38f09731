"""Speech-to-text, LLMs and text-to-speech by name: which exist, whether a choice can work, and how to make one.

A provider's file is imported when it is asked for, and Pipecat's service only when it is made or preloaded.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from pipeline.errors import BadOption, MissingKey, UnknownProvider
from pipeline.fallback.candidates import Candidate
from pipeline.providers.choices import Choices, by_provider, chosen, full_name, options_by_provider
from pipeline.providers.spec import KINDS, Kind, Options, Provider, Request, Spec, secret
from pipeline.settings import variable

if TYPE_CHECKING:
    from pipecat.services.llm_service import LLMService
    from pipecat.services.stt_service import STTService
    from pipecat.services.tts_service import TTSService

    from pipeline.settings import PipelineSettings

__all__ = [
    "KINDS",
    "TABLE",
    "Choices",
    "Kind",
    "Provider",
    "by_provider",
    "candidates",
    "check",
    "check_choice",
    "chosen",
    "circuit_key",
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

KEY_DIGITS = 12  # of a digest of a credential, hexadecimal: enough to tell credentials apart, not to guess one


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


def default(kind: Kind, settings: PipelineSettings) -> tuple[Provider, ...]:
    """The deployment's own choice, for agents that make none.

    Raises:
        BadList: It is none, or a model is for a provider that is not in it.
    """
    providers = chosen(kind, getattr(settings, kind))
    options = options_by_provider(kind, getattr(settings, f"{kind}_options"), providers)
    models = by_provider(kind, "model", settings.llm_model, providers) if kind == "llm" else {}
    return tuple(
        Provider(
            each.name,
            dict(options.get(each.name, {})) | ({"model": models[each.name]} if each.name in models else {}),
        )
        for each in providers
    )


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
    """What can be chosen with what the environment has, by kind, `local` included; a voice is not looked at."""
    return {
        kind: [
            *(
                name
                for name in TABLE[kind]
                if all(getattr(settings, need) is not None for need in spec_of(kind, name).needs)
            ),
            "local",
        ]
        for kind in KINDS
    }


def known_languages(settings: PipelineSettings) -> dict[str, list[str]]:
    """What usable providers understand, by kind, slash and name; without those that understand many."""
    return {name: sorted(spec.languages) for name, spec in _usable_specs(settings) if spec.languages is not None}


def known_voices(settings: PipelineSettings) -> dict[str, list[str]]:
    """The voices of usable providers, by kind, slash and name; without those whose voices are not known here."""
    return {name: sorted(spec.voices()) for name, spec in _usable_specs(settings) if spec.voices is not None}


def _usable_specs(settings: PipelineSettings) -> list[tuple[str, Spec]]:
    return [
        (f"{kind}/{name}", spec_of(kind, full_name(kind, name)))
        for kind, names in usable(settings).items()
        for name in names
    ]


def candidates(
    kind: Kind,
    choices: Sequence[Provider],
    settings: PipelineSettings,
    *,
    voices: Mapping[str, str] = MappingProxyType({}),
    language: str | None = None,
    prompt: str | None = None,
) -> tuple[Candidate[Any], ...]:
    """What a call may use for one thing, in order; no service is made yet.

    Args:
        kind: "stt", "llm" or "tts".
        choices: The providers and their options.
        settings: The deployment's.
        voices: Voice to speak with, by provider; only for tts.
        language: BCP 47 tag of the language that is spoken; not for llm.
        prompt: What the LLM is told to be; only for llm.

    Returns:
        One for each choice. Its `make` gives the service, or raises ProviderError as `check` does.
    """
    return tuple(
        Candidate(
            choice.name,
            circuit_key(kind, choice.name, settings),
            partial(_make, kind, choice, settings, voice=voices.get(choice.name), language=language, prompt=prompt),
        )
        for choice in choices
    )


def circuit_key(kind: Kind, name: str, settings: PipelineSettings) -> str:
    """Under which the failures of a provider are counted: its kind, its name and a digest of what it is reached with.

    Args:
        kind: "stt", "llm" or "tts".
        name: The provider's.
        settings: The deployment's, for keys; none of them can be read from the result.
    """
    spec = spec_of(kind, name)
    digest = hashlib.sha256()
    for field in (*spec.needs, *spec.uses):
        value = getattr(settings, field)
        text = secret(settings, field) if isinstance(value, SecretStr) else str(value)
        digest.update(f"{field}={text}\n".encode())
    return f"{kind}/{name}/{digest.hexdigest()[:KEY_DIGITS]}"


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
