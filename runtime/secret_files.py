"""Reads secrets from files, by NAME_FILE in place of NAME, as containers hand them out; all settings read theirs so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

SUFFIX = "_FILE"


class SecretFileError(ValueError):
    """The file that a setting names cannot be read; the message names the setting, never what is in the file."""


def from_files(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """What stands in the file that NAME_FILE names, for each of these names that is not set itself.

    Args:
        names: of the secrets.
        environment: where the names of the files are looked up.

    Raises:
        SecretFileError: a file cannot be read as text.
    """
    found: dict[str, str] = {}
    for name in names:
        path = environment.get(name + SUFFIX)
        if not path or environment.get(name):
            continue
        try:
            found[name] = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SecretFileError(f"{name}{SUFFIX} names a file that cannot be read: {path} ({reason})") from None
    return found
