"""Checks what a session chooses for itself, as far as it can be known before an agent is asked; admission.py asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dispatcher.errors import BadConfig

# An agent checks the same (pipeline/agents/checks.py), but only once a warm process has been spent on the session.
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


def _check_greeting(text: str) -> None:
    if not any(letter.isalnum() for letter in text):
        raise BadConfig("config.greeting has no word that can be spoken.")
    if len(text) > MOST_GREETING:
        raise BadConfig(f"config.greeting is longer than {MOST_GREETING} characters.")
    if any(not letter.isprintable() and not letter.isspace() for letter in text):
        raise BadConfig("config.greeting has control characters in it.")
