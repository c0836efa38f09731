"""Sessions and what belongs to them, kept in Valkey or Redis; store.py puts it together with the other parts."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from session.errors import (
    Conflict,
    NoCapacity,
    OperationReused,
    SessionNotFound,
    Stale,
    TooManySessions,
    UnreadableRecord,
)
from session.record import LOCAL, Session, State, reused_by_user
from session.store.codec import entry_from_json, entry_to_json, from_cursor, from_json, read_session, to_cursor, to_json
from session.store.ports import Page, StartResult, TranscriptPage, Utterance
from session.store.redis.connection import Connection


class RedisSessions:
    """SessionStore over a connection. `keep_seconds`: how long the record of an ended session is kept."""

    def __init__(self, connection: Connection, *, keep_seconds: float) -> None:
        self._connection = connection
        self._keep_ms = math.ceil(keep_seconds * 1000)

    async def now(self) -> float:
        """Unix seconds of the server's clock."""
        return await self._connection.now()

    async def get(self, session_id: str) -> Session:
        """The session's record. Raises SessionNotFound, UnreadableRecord."""
        kept: Any = await self._connection.command(
            "HMGET", self._connection.key("SESSION", session_id), "record", "last_active"
        )
        record, last_active = kept
        if record is None:
            raise SessionNotFound
        return read_session(record, last_active)

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        """The session's record, and the server's time. Raises SessionNotFound, UnreadableRecord."""
        match await self._connection.run("get_with_time", id=session_id):
            case [record, last_active, now]:
                return read_session(record, last_active), float(now)
            case _:
                raise SessionNotFound

    async def start(
        self, session: Session, *, max_seats: int, op: str, fingerprint: str = "", max_owned: int | None = None
    ) -> StartResult:
        """Give back the user's live session or admit this one.

        Raises NoCapacity, OperationReused, SessionNotFound, TooManySessions.
        """
        facts = self._facts(session, op, max_seats)
        most = "" if max_owned is None else max_owned
        reply = await self._connection.run("start", fingerprint=fingerprint, max_owned=most, **facts)
        match reply:
            case ["new"]:
                return StartResult(session, reused=False)
            case ["stands" | "reused" as outcome, str(record), last_active]:
                return StartResult(read_session(record, last_active), reused=outcome == "reused")
            case _:
                raise _REFUSED.get(reply[0], UnreadableRecord)

    async def write(self, session: Session, *, op: str, max_seats: int | None = None) -> Session:
        """Replace the record if nobody else did. Raises Conflict, SessionNotFound, NoCapacity."""
        changed = replace(session, rev=session.rev + 1)
        reply = await self._connection.run("write", expected=session.rev, **self._facts(changed, op, max_seats))
        match reply:
            case ["done"]:
                return changed
            case ["again", str(record), last_active]:
                return read_session(record, last_active)
            case _:
                raise _REFUSED.get(reply[0], UnreadableRecord)

    async def touch(self, session_id: str) -> None:
        """Set `last_active` to now, without a new revision."""
        await self._connection.run("touch", id=session_id)

    async def page(self, states: Collection[State], *, limit: int, cursor: str | None = None) -> Page:
        """Sessions in any of `states`, newest first. Raises ValueError when the cursor is none of ours."""
        score, last = from_cursor(cursor) if cursor is not None else ("+inf", "")
        limit = max(1, limit)
        names = " ".join(sorted(set(states)))
        reply = await self._connection.run("page", states=names, limit=limit, score=score, id=last)
        sessions = []
        for session_id, record, last_active in zip(reply[2::3], reply[3::3], reply[4::3], strict=True):
            try:
                sessions.append(read_session(record, last_active))
            except UnreadableRecord as error:
                self._connection.unreadable.passed_over("session", session_id, error)
        return Page(sessions, to_cursor(float(reply[0]), reply[1]) if reply[0] else None)

    async def counts(self) -> Mapping[State, int]:
        """How many sessions are in each state now."""
        states = list(State)
        reply = await self._connection.run("counts", states=" ".join(states))
        return dict(zip(states, map(int, reply), strict=True))

    async def owned(self, owner: str) -> int:
        """How many live sessions this owner has."""
        return int(await self._connection.command("SCARD", self._connection.key("OWNED", _digest(owner))))

    async def seats(self) -> int:
        """How many seats are taken."""
        return int(await self._connection.command("SCARD", self._connection.key("SEATS")))

    async def say(self, session_id: str, utterance: Utterance, *, attempt: int, job: str) -> None:
        """Append to the transcript. Raises Stale when the agent is not the current one of a live session."""
        said = to_json(utterance)
        if not await self._connection.run("say", id=session_id, attempt=attempt, job=job, utterance=said):
            raise Stale

    async def transcript(self, session_id: str, *, start: int = 0, limit: int | None = None) -> TranscriptPage:
        """What was said, in order, without what cannot be read."""
        last = -1 if limit is None else start + limit  # one more: whether there is more
        key = self._connection.key("TRANSCRIPT", session_id)
        said: Any = await self._connection.command("LRANGE", key, start, last)
        items = []
        for number, each in enumerate(said[:limit], start):
            try:
                items.append(from_json(Utterance, each))
            except UnreadableRecord as error:
                self._connection.unreadable.passed_over("utterance", f"{session_id}/{number}", error)
        more = limit is not None and len(said) > limit
        return TranscriptPage(items, last if more else None)

    async def log(self, session_id: str, event: str, *, level: str = "info", **facts: Any) -> None:
        """Append to the session's log."""
        await self._connection.run("log", id=session_id, entry=entry_to_json(event, level, facts))

    async def logs(self, session_id: str, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest `limit` log entries, oldest first."""
        if limit < 1:
            return []
        lines: Any = await self._connection.command("LRANGE", self._connection.key("LOG", session_id), -limit, -1)
        entries = []
        for line in lines:
            try:
                entries.append(_read_entry(line))
            except UnreadableRecord as error:
                self._connection.unreadable.passed_over("log entry", session_id, error)
        return entries

    async def first_time(self, key: str, *, seconds: float) -> bool:
        """Whether `key` was not seen within the last `seconds`; remembers it."""
        fresh = await self._connection.command(
            "SET", self._connection.key("SEEN", key), "1", "NX", "PX", math.ceil(seconds * 1000)
        )
        return bool(fresh)

    async def remember(self, key: str, *, seconds: float) -> None:
        """Let `first_time` know `key` for so long from now on."""
        await self._connection.command("SET", self._connection.key("SEEN", key), "1", "PX", math.ceil(seconds * 1000))

    async def forget(self, key: str) -> None:
        """Let the next `first_time` with `key` be the first."""
        await self._connection.command("DEL", self._connection.key("SEEN", key))

    def _facts(self, session: Session, op: str, max_seats: int | None) -> dict[str, Any]:
        startup = session.startup_seconds
        return {
            "id": session.id,
            "rev": session.rev,
            "op": op,
            "state": session.state,
            "attempt": session.attempt,
            "job": session.job or "",
            "record": to_json(session),
            "created_at": repr(session.created_at),
            "deadline": "" if session.deadline is None else repr(session.deadline),
            "startup": "" if startup is None else repr(startup),
            "user": _user(session.owner, session.user_id),
            "owner": _digest(session.owner) if session.owner != LOCAL else "",
            "max_seats": "" if max_seats is None else max_seats,
            "keep_ms": self._keep_ms,
        }


_REFUSED = {
    "other": OperationReused,
    "full": NoCapacity,
    "owned": TooManySessions,
    "missing": SessionNotFound,
    "conflict": Conflict,
}


def _user(owner: str, user_id: str | None) -> str:
    """The end of the user's key: fixed length, so that no id can be made to look like another's."""
    return _digest(owner, user_id) if user_id is not None and reused_by_user(owner) else ""


def _digest(*facts: str) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:40]


def _read_entry(line: str) -> dict[str, Any]:
    at, _, entry = line.partition(" ")
    try:
        written = float(at)
    except ValueError:
        raise UnreadableRecord("a stored log entry has no time") from None
    return entry_from_json(entry, written)
