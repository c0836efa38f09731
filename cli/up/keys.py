"""LiveKit's keys and Valkey's password for one machine: made once and kept; command.py hands them to the parts."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path


class KeysError(Exception):
    """The file of keys is there but can't be used."""


@dataclass(frozen=True)
class Keys:
    """An API key and its secret."""

    api_key: str
    api_secret: str = field(repr=False)


def kept(path: Path) -> Keys:
    """The keys in `path`, which is written (mode 0600) when it isn't there.

    Raises KeysError for a file that holds no keys.
    """
    try:
        stored = json.loads(path.read_text("utf-8"))
        return Keys(str(stored["api_key"]), str(stored["api_secret"]))
    except FileNotFoundError:
        return _made(path)
    except (ValueError, KeyError, TypeError) as error:
        raise KeysError(f"{path} holds no keys: delete it to have new ones made") from error


def _made(path: Path) -> Keys:
    """New keys, written to `path` for its owner alone."""
    # 32 random bytes, 43 characters: as strong as the HMAC-SHA256 that signs LiveKit's tokens; it wants 32 characters.
    keys = Keys(f"greenroom{secrets.token_hex(4)}", secrets.token_urlsafe(32))
    text = json.dumps({"api_key": keys.api_key, "api_secret": keys.api_secret})
    write_private(path, text + "\n")
    return keys


def valkey_password(config: Path) -> str:
    """The password in Valkey's configuration file, which is written (mode 0600) when it isn't there.

    Whoever can write to the store can run code in the dispatcher: docket keeps pickles there. So it has a password also
    on a machine with one user. The file keeps the password out of the process list.

    Raises KeysError for a file that holds none.
    """
    try:
        words = config.read_text("utf-8").split()
    except FileNotFoundError:
        words = ["requirepass", secrets.token_hex(32)]
        write_private(config, " ".join(words) + "\n")
    if len(words) != 2 or words[0] != "requirepass":
        raise KeysError(f"{config} holds no password: delete it to have a new one made")
    return words[1]


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, readable by its owner alone."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
