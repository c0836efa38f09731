"""What makes two requests the same start: the Idempotency-Key and the body; the start route asks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from pydantic import BaseModel

KEY_PATTERN = r"^[ -~]{1,255}$"  # printable ASCII


@dataclass(frozen=True, slots=True)
class IdempotentStart:
    """A start that is made once, however often it is asked for.

    Attributes:
        op: names it in the store.
        fingerprint: of what is asked for: the same key with another one is a mistake; "" where there is no key.
    """

    op: str
    fingerprint: str = ""


def once(key: str, *, owner: str, body: BaseModel) -> IdempotentStart:
    """The start of this owner with this key.

    Args:
        key: matches KEY_PATTERN.
        owner: whose key it is; another owner's same key is another start.
        body: what is asked for, as it was understood.
    """
    return IdempotentStart(f"key-{_digest([owner, key])}", _digest(body.model_dump(mode="json", exclude_none=True)))


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:40]
