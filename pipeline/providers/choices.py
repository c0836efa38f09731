"""Ordered lists of providers: reads "groq, openai, local", and sorts options, models and voices by provider.

The settings, an agent's file and a session's config all say such lists in one of these ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pipeline.errors import BadList
from pipeline.providers.spec import Kind, Provider

Choices = Provider | str | Sequence[Provider | str]
"""One provider, or several in order: a name, a list with commas, a `Provider`, or a sequence of these."""

LOCAL: Mapping[Kind, str] = {"stt": "moonshine", "llm": "rules", "tts": "hibari"}
"""What `local` means: the providers that run here with no key."""

Value = TypeVar("Value")


def chosen(kind: Kind, given: object) -> tuple[Provider, ...]:
    """Read a list of providers; whether each exists and can work is another question.

    Args:
        kind: "stt", "llm" or "tts".
        given: As in Choices.

    Returns:
        At least one, no name twice, `local` replaced by its provider.

    Raises:
        BadList: It is none, has an empty place, or has a provider twice.
    """
    parts: list[object] = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    providers = [each for part in parts for each in _providers(kind, part)]
    if not providers:
        raise BadList(kind, "has no provider in it")
    for place, each in enumerate(providers):
        if each.name in (earlier.name for earlier in providers[:place]):
            raise BadList(kind, f"has {each.name!r} twice")
    return tuple(providers)


def _providers(kind: Kind, part: object) -> list[Provider]:
    if isinstance(part, str):
        names = [name.strip() for name in part.split(",")]
        if not all(names):
            raise BadList(kind, "has an empty place")
        return [Provider(full_name(kind, name)) for name in names]
    if isinstance(part, Provider) and isinstance(part.name, str) and isinstance(part.options, Mapping):
        return [Provider(full_name(kind, part.name), part.options)]
    raise BadList(kind, "must be a name or a Provider, or a list of these")


def full_name(kind: Kind, name: str) -> str:
    """The provider that a name means: `local` is the one of its kind that runs here."""
    return LOCAL[kind] if name == "local" else name


def by_provider(
    kind: Kind, what: str, given: Mapping[str, Value] | Value | None, providers: Sequence[Provider]
) -> dict[str, Value]:
    """Give each provider of a list its own value.

    Args:
        kind: "stt", "llm" or "tts".
        what: The values are, for an error: "voice", for example.
        given: Values by provider's name; or one value, the first provider's; or None.
        providers: The list.

    Returns:
        Values by provider's name, only of those that have one.

    Raises:
        BadList: It names one that is not in the list.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return {providers[0].name: given}
    sorted_out = {full_name(kind, name): value for name, value in given.items()}
    names = [each.name for each in providers]
    for name in sorted_out:
        if name not in names:
            raise BadList(kind, f"is {', '.join(names)}, and has no {name!r} to give a {what} to")
    return sorted_out


def options_by_provider(
    kind: Kind, given: Mapping[str, object], providers: Sequence[Provider]
) -> dict[str, Mapping[str, object]]:
    """Give each provider of a list its options.

    Args:
        kind: "stt", "llm" or "tts".
        given: Options by provider's name, where every name is one of the list's; otherwise the first one's options.
        providers: The list.

    Returns:
        Options by provider's name, only of those that have any.
    """
    names = {each.name for each in providers}
    named = {full_name(kind, name): value for name, value in given.items()}
    options = {name: value for name, value in named.items() if name in names and isinstance(value, Mapping)}
    return options if len(options) == len(given) else {providers[0].name: given}
