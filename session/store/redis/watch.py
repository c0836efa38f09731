"""WatchStore kept in Valkey or Redis: the half of RedisStore by which no session is forgotten; knows no driver."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from session.errors import SessionNotFound, Stale, StoreUnavailable
from session.record import Session
from session.store.codec import read_session
from session.store.ports import SILENT_SECONDS, Event, EventKind
from session.store.redis import watch_scripts

GROUP = "dispatchers"
EVENTS_AT_ONCE = 50


class RedisWatch(ABC):
    """What redis_store.py adds the connection to."""

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        """The session's record, and the server's time. Raises SessionNotFound, UnreadableRecord."""
        match await self._run(watch_scripts.LOOK, id=session_id):
            case [record, last_active, now]:
                return read_session(record, last_active), float(now)
            case _:
                raise SessionNotFound

    async def events(self, reader: str, *, wait: float) -> Sequence[Event]:
        """What happened since, each to one reader only."""
        block = max(1, math.floor(wait * 1000))
        stream = self._key("EVENTS")
        command = ("XREADGROUP", "GROUP", GROUP, reader, "COUNT", EVENTS_AT_ONCE, "BLOCK", block, "NOACK")
        try:
            answer = await self._command(*command, "STREAMS", stream, ">")
        except StoreUnavailable as error:
            if "NOGROUP" not in str(error.__cause__):
                raise
            await self._command("XGROUP", "CREATE", stream, GROUP, "$", "MKSTREAM")
            return []
        return [event for entry in _entries(answer) if (event := _event(entry)) is not None]

    async def due(self, *, limit: int) -> Sequence[str]:
        """Ids of sessions whose deadline has passed, the oldest deadline first."""
        return list(await self._run(watch_scripts.DUE, limit=limit))

    async def queue(self) -> Sequence[str]:
        """Ids of the sessions that wait for a slot, the oldest first."""
        return list(await self._command("ZRANGE", self._key("STATE", "queued"), 0, -1))

    async def alive(self, session_id: str, *, attempt: int, job: str) -> None:
        """Note that the session's agent lives. Raises Stale."""
        if not await self._run(watch_scripts.ALIVE, id=session_id, attempt=attempt, job=job):
            raise Stale

    async def silent(self, seconds: float) -> Sequence[str]:
        """Ids of the `ready` sessions whose agent has said nothing for so long."""
        return list(await self._run(watch_scripts.SILENT, seconds=seconds))

    async def watch(self, *, gap: float, window: float) -> float:
        """Note that somebody watches; gives for how many seconds nothing may be concluded from silence."""
        return float(await self._run(watch_scripts.WATCH, gap=gap, window=window))

    async def gone(self, worker_id: str) -> None:
        """Note that the worker has died."""
        await self._run(watch_scripts.GONE, id=worker_id, seconds=SILENT_SECONDS)

    async def mend_seats(self) -> int:
        """Give back the seats that nobody holds; gives how many there were."""
        return int(await self._run(watch_scripts.MEND_SEATS))

    async def keep_checkpoint(self, session_id: str, text: str, *, attempt: int, job: str) -> None:
        """Keep the conversation as it is now. Raises Stale."""
        if not await self._run(watch_scripts.KEEP_CHECKPOINT, id=session_id, attempt=attempt, job=job, text=text):
            raise Stale

    async def checkpoint(self, session_id: str) -> str | None:
        """The conversation that was kept, None where there is none."""
        kept = await self._command("GET", self._key("CHECKPOINT", session_id))
        return None if kept is None else str(kept)

    async def set_aside(self, session_id: str) -> None:
        """Keep an unreadable checkpoint where nobody takes it up."""
        await self._run(watch_scripts.SET_ASIDE, id=session_id, life_ms=self._keep_ms)

    _keep_ms: int

    @abstractmethod
    async def _run(self, script: str, **arguments: Any) -> Any: ...

    @abstractmethod
    async def _command(self, *words: Any) -> Any: ...

    @abstractmethod
    def _key(self, name: str, end: str = "") -> str: ...


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


def _event(entry: Any) -> Event | None:
    fields = entry[1]
    if isinstance(fields, list | tuple):
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        return Event(EventKind(fields["kind"]), str(fields["id"]))
    except (KeyError, ValueError):
        return None  # of a newer version
