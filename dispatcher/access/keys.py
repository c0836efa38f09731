"""What an API key is, how one is made, and how keys are read and written; key_ring.py and command.py use it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from dispatcher.starts.limits import read_rate

VERSION = 1  # of a stored key
SECRET_BYTES = 24  # 192 random bits
LEAST_CHARACTERS = 32  # of a key that somebody else made
NAME = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
WRITTEN = re.compile(r"gr_(caller|operator)_[0-9a-f]{8}_[0-9a-f]{48}")
"""A key as `new_key` writes it, to find one where it must not be: in an address."""


class KeyFault(ValueError):
    """A key or one of its limits cannot be read; the message says what to write, and never holds the key."""


class Role(StrEnum):
    """What a key opens."""

    CALLER = "caller"  # start, token, stop, and what belongs to the sessions that it started
    OPERATOR = "operator"  # everything


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept: never the key itself.

    Attributes:
        id: tells keys apart in lists and logs; says nothing about the key.
        role: what the key opens.
        name: whose key it is, the tenant. Several keys of one name are one tenant, so that a key can be exchanged.
        digest: SHA-256 of the whole key, in hex. The key has 192 random bits, so that no slow hash is needed.
        starts: how often its tenant may start, like 60/minute; None: as often as it likes.
        sessions: how many live sessions its tenant may have; None: as many as there are seats.
        agents: the agents it may start; None: all.
    """

    id: str
    role: Role
    name: str
    digest: str
    starts: str | None = None
    sessions: int | None = None
    agents: tuple[str, ...] | None = None


_ADAPTER = TypeAdapter(ApiKey)


def new_key(
    role: Role,
    name: str,
    *,
    starts: str | None = None,
    sessions: int | None = None,
    agents: Sequence[str] | None = None,
    random: Callable[[int], str] = secrets.token_hex,
) -> tuple[ApiKey, str]:
    """A new key as it is kept, and the key itself, which is shown once.

    Args:
        role: what it opens.
        name: whose it is.
        starts: how often its tenant may start, like 60/minute; None: as often as it likes.
        sessions: how many live sessions its tenant may have; None: any number.
        agents: the agents it may start; None: all.
        random: gives so many random bytes as hex.

    Raises:
        KeyFault: name or limit cannot be used.
    """
    if not NAME.match(name):
        raise KeyFault("the name must be 1 to 64 letters, digits, dots, hyphens or underscores")
    if starts is not None:
        try:
            read_rate(starts)
        except ValueError as error:
            raise KeyFault(f"starts {error}") from None
    if sessions is not None and sessions < 1:
        raise KeyFault("sessions must be 1 or more")
    key_id = random(4)
    written = f"gr_{role}_{key_id}_{random(SECRET_BYTES)}"
    allowed = tuple(agents) if agents else None
    kept = ApiKey(
        id=key_id, role=role, name=name, digest=digest(written), starts=starts, sessions=sessions, agents=allowed
    )
    return kept, written


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def matching(presented: str, keys: Iterable[ApiKey]) -> ApiKey | None:
    """The one of `keys` that was presented; every one is compared, in constant time."""
    shown, found = digest(presented), None
    for key in keys:
        if hmac.compare_digest(shown, key.digest):
            found = key
    return found


def read_first_keys(text: str) -> tuple[ApiKey, ...]:
    """The keys in GREENROOM_API_KEYS: `role:name:key` each, separated by commas or lines; `#` begins a comment line.

    Raises:
        KeyFault: one of them cannot be read.
    """
    lines = [line.strip() for line in text.splitlines()]
    entries = [entry.strip() for line in lines if not line.startswith("#") for entry in line.split(",")]
    return tuple(_first_key(number, entry) for number, entry in enumerate(filter(None, entries), start=1))


def _first_key(number: int, entry: str) -> ApiKey:
    role, _, rest = entry.partition(":")
    name, _, key = rest.partition(":")
    if role not in set(Role) or not NAME.match(name) or not key:
        raise KeyFault(f"key {number} must be written caller:NAME:KEY or operator:NAME:KEY")
    if len(key) < LEAST_CHARACTERS:
        raise KeyFault(f"key {number} must have {LEAST_CHARACTERS} characters or more; `greenroom keys new` makes one")
    made = digest(key)
    return ApiKey(id=made[:8], role=Role(role), name=name, digest=made)


def to_json(key: ApiKey) -> str:
    """The key as it is stored."""
    return json.dumps({"v": VERSION, **asdict(key)}, separators=(",", ":"))


def from_json(text: str) -> ApiKey:
    """A stored key.

    Raises:
        KeyFault: it is none of this version.
    """
    try:
        data = json.loads(text)
        if data.pop("v") != VERSION:
            raise KeyFault("a stored API key has an unknown version")
        return _ADAPTER.validate_python(data)
    except (ValidationError, ValueError, KeyError, AttributeError, TypeError):
        pass  # the error would show what was stored
    raise KeyFault("a stored API key cannot be read")
