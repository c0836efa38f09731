"""Checks what a session chooses for itself, as far as it can be known before an agent is asked; admission.py asks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dispatcher.errors import BadConfig
from session.store.ports import Worker

# An agent checks the same (pipeline/agents/checks.py), but only once a warm process has been spent on the session.
LISTED = 10  # names that a refusal shows at most
MOST_GREETING = 1_000  # characters
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][A-Za-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")


def check_values(config: Mapping[str, Any]) -> None:
    """Refuse values that every agent refuses.

    Args:
        config: What a session chooses, by field.

    Raises:
        BadConfig: A value can't be used, and why.
    """
    if "prompt" in config and not config["prompt"].strip():
        raise BadConfig("config.prompt must be a text.")
    if "greeting" in config:
        _check_greeting(config["greeting"])
    if "language" in config and not LANGUAGE.fullmatch(config["language"]):
        raise BadConfig("config.language must be a tag such as en or de-AT.")


def check_known(able: Sequence[Worker], agent: str, config: Mapping[str, Any]) -> None:
    """Refuse a voice or language that the providers of none of these workers have, where all of them tell.

    Args:
        able: The workers that serve the agent.
        agent: Which agent is asked for.
        config: What a session chooses, by field; the providers were checked.

    Raises:
        BadConfig: It is not known, and what is.
    """
    if "language" in config:
        for kind in ("stt", "tts"):
            understood = [_languages(each, kind, agent, config) for each in able]
            _check_one_of("language", config["language"].partition("-")[0], understood)
    for name, voice in _voices(config.get("voice")):
        known = [each.voices.get(f"tts/{name or _first(each, 'tts', agent, config)}") for each in able]
        _check_one_of("voice", voice.lower(), known)


def provider_names(given: Any) -> list[str]:
    """The names in a choice of providers, in order.

    Args:
        given: A name, names with commas, an object with a `name`, or a list of these.
    """
    parts = given if isinstance(given, list | tuple) else [given]
    named = [part.get("name", "") if isinstance(part, Mapping) else part for part in parts]
    return [name.strip() for each in named for name in str(each).split(",")]


def _chosen(worker: Worker, kind: str, agent: str, config: Mapping[str, Any]) -> list[str]:
    """The providers that a session would have there; none where its worker doesn't tell."""
    given = config.get(kind, worker.speaks.get(agent, {}).get(kind))
    return [] if given is None else provider_names(given)


def _first(worker: Worker, kind: str, agent: str, config: Mapping[str, Any]) -> str | None:
    return next(iter(_chosen(worker, kind, agent, config)), None)


def _languages(worker: Worker, kind: str, agent: str, config: Mapping[str, Any]) -> list[str] | None:
    """What all of a session's providers there understand; None where none of them tells."""
    told = [worker.languages.get(f"{kind}/{name}") for name in _chosen(worker, kind, agent, config)]
    known = [set(each) for each in told if each is not None]
    return sorted(set.intersection(*known)) if known else None


def _voices(given: Any) -> list[tuple[str | None, str]]:
    """Voices by provider; without a name it is the first provider's."""
    if given is None:
        return []
    return list(given.items()) if isinstance(given, Mapping) else [(None, given)]


def _check_one_of(field: str, value: str, known: Sequence[Sequence[str] | None]) -> None:
    names = {name for each in known if each is not None for name in each}
    if None not in known and value not in names:
        raise BadConfig(f"config.{field} must be one of {listed(names)}.")


def listed(names: Iterable[str]) -> str:
    """These names in order, the first LISTED of them."""
    known = sorted(names)
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return (", ".join(known[:LISTED]) or "none") + more


def _check_greeting(text: str) -> None:
    if not any(letter.isalnum() for letter in text):
        raise BadConfig("config.greeting has no word that can be spoken.")
    if len(text) > MOST_GREETING:
        raise BadConfig(f"config.greeting is longer than {MOST_GREETING} characters.")
    if any(not letter.isprintable() and not letter.isspace() for letter in text):
        raise BadConfig("config.greeting has control characters in it.")
