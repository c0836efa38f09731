"""How sessions, workers, utterances and cursors are written as JSON and read again; the store uses it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from session.errors import UnreadableRecord
from session.record import READABLE, VERSION, Session
from session.store.ports import Utterance, Worker

Record = TypeVar("Record", Session, Worker, Utterance)

_ADAPTERS: Mapping[type, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (Session, Worker, Utterance)}


def to_dict(record: Session | Worker | Utterance) -> dict[str, Any]:
    """The record's fields by name, and its version as `v`; enum members are strings."""
    return {"v": VERSION, **{field.name: getattr(record, field.name) for field in fields(record)}}


def from_dict(kind: type[Record], data: Any) -> Record:
    """The record of this kind that `data` holds; fields that are not known are ignored, absent ones get defaults.

    Raises:
        UnreadableRecord: unknown version, a field is missing or wrong. It names fields, never what was in them.
    """
    if not isinstance(data, dict):
        raise UnreadableRecord(f"a stored {kind.__name__} is not an object")
    version = data.get("v")
    if type(version) is not int or version not in READABLE:
        raise UnreadableRecord(f"a stored {kind.__name__} is not of version {' or '.join(map(str, sorted(READABLE)))}")
    try:
        record: Record = _ADAPTERS[kind].validate_python(_as_of_now(kind, {str(name): data[name] for name in data}))
    except ValidationError as error:
        wrong = sorted({str(each["loc"][0]) for each in error.errors() if each["loc"]})
    else:
        return record
    # Outside of the handler, so that no traceback shows the error and with it what was stored.
    raise UnreadableRecord(f"a stored {kind.__name__} has bad fields: {', '.join(wrong)}")


def _as_of_now(kind: type, data: dict[str, Any]) -> dict[str, Any]:
    """A record of the release before, which told these two by the waterfall alone, with the fields of this one."""
    if kind is Session and "room_made" not in data:
        steps = data.get("steps")
        reached = set(steps) if isinstance(steps, Mapping) else set()
        return {**data, "room_made": "room" in reached, "greeted": "first_audio" in reached}
    return data


def to_json(record: Session | Worker | Utterance) -> str:
    """The record as one line of ASCII JSON.

    Raises:
        TypeError, ValueError: its metadata or config holds what JSON cannot.
    """
    return json.dumps(to_dict(record), default=dict, allow_nan=False, separators=(",", ":"))


def from_json(kind: type[Record], text: str) -> Record:
    """The record of this kind in `text`.

    Raises:
        UnreadableRecord: it is not JSON, or what `from_dict` refuses.
    """
    return from_dict(kind, _parsed(text, kind.__name__))


def read_session(record: str, last_active: str | None) -> Session:
    """The session in `record`, with the newer of its own and this `last_active` (Unix seconds). Raises as from_json."""
    session = from_json(Session, record)
    touched = float(last_active or 0)
    return replace(session, last_active=touched) if touched > session.last_active else session


def entry_to_json(event: str, level: str, facts: Mapping[str, Any]) -> str:
    """A line of a session's log. A fact that JSON cannot hold is kept as its text: logging never fails a call."""
    return json.dumps({**facts, "v": VERSION, "level": level, "event": event}, default=str, separators=(",", ":"))


def entry_from_json(text: str, at: float) -> dict[str, Any]:
    """A line of a session's log that was written at `at` (Unix seconds).

    Raises:
        UnreadableRecord: it is not a JSON object.
    """
    entry = _parsed(text, "log entry")
    if not isinstance(entry, dict):
        raise UnreadableRecord("a stored log entry is not an object")
    return {"at": at, **{name: value for name, value in entry.items() if name not in ("v", "at")}}


def to_cursor(created_at: float, session_id: str) -> str:
    """Where a list goes on: after the session with this id, created at this Unix time."""
    return f"{created_at!r}/{session_id}"


def from_cursor(cursor: str) -> tuple[float, str]:
    """`created_at` and id of the last session that was listed.

    Raises:
        ValueError: the cursor is none of ours.
    """
    head, _, session_id = cursor.partition("/")
    try:
        created_at = float(head)
    except ValueError:
        created_at = math.nan
    if not session_id or not math.isfinite(created_at):
        raise ValueError("this cursor is none of ours")
    return created_at, session_id


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # the error would show what was stored
    raise UnreadableRecord(f"a stored {what} is not JSON")
