"""By which no session is forgotten: events, deadlines, signs of life, checkpoints, kept in Valkey or Redis."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from session.errors import Stale, StoreUnavailable, UnreadableRecord
from session.record import Session
from session.store.codec import from_json, read_session
from session.store.ports import REDELIVERY_SECONDS, Ended, Event, EventKind
from session.store.redis.connection import Connection

GROUP = "dispatchers"
EVENTS_AT_ONCE = 50
ENDS_AT_ONCE = 100


class RedisWatch:
    """WatchStore over a connection. `keep_seconds`: how long what belongs to an ended session is kept."""

    def __init__(self, connection: Connection, *, keep_seconds: float) -> None:
        self._connection = connection
        self._keep_ms = math.ceil(keep_seconds * 1000)

    async def events(self, reader: str, *, wait: float) -> Sequence[Event]:
        """What happened since, each to one reader only."""
        block = max(1, math.floor(wait * 1000))
        stream = self._connection.key("EVENTS")
        command = ("XREADGROUP", "GROUP", GROUP, reader, "COUNT", EVENTS_AT_ONCE, "BLOCK", block, "NOACK")
        try:
            answer = await self._connection.command(*command, "STREAMS", stream, ">")
        except StoreUnavailable as error:
            if "NOGROUP" not in str(error.__cause__):
                raise
            await self._connection.command("XGROUP", "CREATE", stream, GROUP, "$", "MKSTREAM")
            return []
        return [event for entry in _entries(answer) if (event := _event(entry)) is not None]

    async def ended(self, group: str, reader: str, *, wait: float) -> Sequence[Ended]:
        """Sessions that ended, each to one reader of the group, until it is acknowledged."""
        stream = self._connection.key("OUTGOING")
        block = max(1, math.floor(wait * 1000))
        read = ("XREADGROUP", "GROUP", group, reader, "COUNT", ENDS_AT_ONCE, "BLOCK", block, "STREAMS", stream, ">")
        try:
            entries = _entries(await self._connection.command(*read))
        except StoreUnavailable as error:
            if "NOGROUP" not in str(error.__cause__):
                raise
            await self._connection.command("XGROUP", "CREATE", stream, group, "$", "MKSTREAM")
            return []
        if not entries:
            idle = math.floor(REDELIVERY_SECONDS * 1000)
            claimed = await self._connection.command(
                "XAUTOCLAIM", stream, group, reader, idle, "0", "COUNT", ENDS_AT_ONCE
            )
            entries = _entries({stream: claimed[1]})
        found = [Ended(str(entry[0]), session) for entry in entries if (session := self._session(entry)) is not None]
        unreadable = {str(entry[0]) for entry in entries} - {each.entry for each in found}
        if unreadable:
            await self._connection.command("XACK", stream, group, *unreadable)
        return found

    async def acknowledge(self, group: str, ended: Collection[Ended]) -> None:
        """These are done."""
        if ended:
            await self._connection.command(
                "XACK", self._connection.key("OUTGOING"), group, *(each.entry for each in ended)
            )

    async def news(self, after: str | None, *, wait: float) -> tuple[str, Sequence[Event]]:
        """What happened after this place, and the place to go on from."""
        stream = self._connection.key("EVENTS")
        if after is None:
            newest = await self._connection.command("XREVRANGE", stream, "+", "-", "COUNT", 1)
            after = str(newest[0][0]) if newest else "0"
        block = max(1, math.floor(wait * 1000))
        entries = _entries(
            await self._connection.command("XREAD", "COUNT", EVENTS_AT_ONCE, "BLOCK", block, "STREAMS", stream, after)
        )
        place = str(entries[-1][0]) if entries else after
        return place, [event for entry in entries if (event := _event(entry)) is not None]

    async def due(self, *, limit: int) -> Sequence[str]:
        """Ids of sessions whose deadline has passed, the oldest deadline first."""
        known = self._connection.unreadable.known("session")  # these are never done, and stand in no one's way
        return self._readable(await self._connection.run("due", limit=limit + known))[:limit]

    async def queue(self) -> Sequence[str]:
        """Ids of the sessions that wait for a slot, the oldest first."""
        return self._readable(await self._connection.run("queue"))

    async def alive(self, session_id: str, *, attempt: int, job: str) -> None:
        """Note that the session's agent lives. Raises Stale."""
        if not await self._connection.run("alive", id=session_id, attempt=attempt, job=job):
            raise Stale

    async def silent(self, seconds: float) -> Sequence[str]:
        """Ids of the `ready` sessions whose agent has said nothing for so long."""
        return list(await self._connection.run("silent", seconds=seconds))

    async def watch(self, *, gap: float, window: float) -> float:
        """Note that somebody watches; gives for how many seconds nothing may be concluded from silence."""
        return float(await self._connection.run("watch", gap=gap, window=window))

    async def mend_seats(self) -> int:
        """Give back the seats that nobody holds; gives how many there were."""
        return int(await self._connection.run("mend_seats"))

    async def keep_checkpoint(self, session_id: str, text: str, *, attempt: int, job: str) -> None:
        """Keep the conversation as it is now. Raises Stale."""
        if not await self._connection.run("keep_checkpoint", id=session_id, attempt=attempt, job=job, text=text):
            raise Stale

    async def checkpoint(self, session_id: str) -> str | None:
        """The conversation that was kept, None where there is none."""
        kept = await self._connection.command("GET", self._connection.key("CHECKPOINT", session_id))
        return None if kept is None else str(kept)

    async def set_aside(self, session_id: str) -> None:
        """Keep an unreadable checkpoint where nobody takes it up."""
        await self._connection.run("set_aside", id=session_id, life_ms=self._keep_ms)

    def _readable(self, kept: Sequence[str]) -> list[str]:
        """The ids of those whose record can be read, of id, record and last_active of each session in turn."""
        ids = []
        for session_id, record, last_active in zip(kept[::3], kept[1::3], kept[2::3], strict=True):
            try:
                read_session(record, last_active)
            except UnreadableRecord as error:
                self._connection.unreadable.passed_over("session", session_id, error)
            else:
                ids.append(session_id)
        return ids

    def _session(self, entry: Any) -> Session | None:
        try:
            return from_json(Session, _fields(entry).get("record", ""))
        except UnreadableRecord as error:
            self._connection.unreadable.passed_over("end", str(entry[0]), error)
            return None


def _entries(answer: Any) -> list[Any]:
    """The entries of the one stream that was read, whichever protocol the driver speaks."""
    if not answer:
        return []
    streams = list(answer.values()) if isinstance(answer, dict) else [each[1] for each in answer]
    flat: list[Any] = []
    for entries in streams:
        for entry in entries:
            flat.extend(entry if entry and isinstance(entry[0], list | tuple) else [entry])
    return flat


def _fields(entry: Any) -> dict[str, str]:
    fields = entry[1]
    return dict(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list | tuple) else dict(fields)


def _event(entry: Any) -> Event | None:
    fields = _fields(entry)
    try:
        return Event(EventKind(fields["kind"]), str(fields["id"]))
    except (KeyError, ValueError):
        return None  # of a newer version
