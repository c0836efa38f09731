"""The ports kept in Valkey or Redis; the only importer of its driver, whose errors end here.

A call takes CALL_SECONDS at most, whatever has happened to the server, and is never sent twice: the scripts (see
session/store/redis/scripts.py) know a repeated operation, and the caller decides whether to repeat one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from session.errors import (
    Conflict,
    NoCapacity,
    OperationReused,
    SessionNotFound,
    Stale,
    StoreUnavailable,
    UnreadableRecord,
)
from session.record import Session, State
from session.store.codec import entry_from_json, entry_to_json, from_cursor, from_json, read_session, to_cursor, to_json
from session.store.ports import Page, StartResult, Stats, Utterance, Worker
from session.store.redis import scripts
from session.store.redis.circuits import RedisCircuit
from session.store.redis.watch import RedisWatch

CALL_SECONDS = 0.9  # of one call, waiting for a connection included: the API says `store_unavailable` within a second
SOCKET_SECONDS = 0.5  # to connect, and to wait for each reply
CONNECTIONS = 16  # of one process; a call holds one for less than a millisecond

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_store(url: str, *, namespace: str, keep_seconds: float) -> AsyncIterator[RedisStore]:
    """The store at `url`; connects when it is first used, so that an absent server stops nobody from starting.

    Args:
        url: redis:// or rediss://, with the password if there is one.
        namespace: second part of every key.
        keep_seconds: how long the record of an ended session is kept.

    Raises:
        ValueError: the address cannot be read.
    """
    async with open_pool(url) as pool:
        client = Redis(connection_pool=pool)
        try:
            yield RedisStore(client, namespace=namespace, keep_seconds=keep_seconds)
        finally:
            await client.aclose()


@asynccontextmanager
async def open_pool(url: str) -> AsyncIterator[BlockingConnectionPool]:
    """Connections to the server at `url`, for whoever keeps things there: nothing is sent twice, nothing waits long.

    Raises:
        ValueError: the address cannot be read; it is not shown, since it may hold a password.
    """
    try:
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=SOCKET_SECONDS,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            decode_responses=True,
            encoding_errors="replace",  # ours is ASCII: what is not cannot be read, and says so as UnreadableRecord
            retry=Retry(NoBackoff(), 0),
            driver_info=None,  # else each connection looks up the driver's version on the disk, and tells the server
        )
    except ValueError:
        raise ValueError("the store's address (REDIS_URL) cannot be read") from None
    try:
        yield pool
    finally:
        await pool.aclose()


class RedisStore(RedisWatch, RedisCircuit):
    """SessionStore, WatchStore, PoolStore and CircuitStore over one client; made by `open_store`."""

    def __init__(self, client: Redis, *, namespace: str, keep_seconds: float) -> None:
        self._client = client
        self._prefix = f"greenroom:{namespace}:"
        self._keep_ms = math.ceil(keep_seconds * 1000)
        self._scripts: dict[str, Any] = {}

    async def now(self) -> float:
        """Unix seconds of the server's clock."""
        async with _translated():
            seconds, micros = await self._client.time()
        return float(seconds) + float(micros) / 1e6

    async def get(self, session_id: str) -> Session:
        """The session's record. Raises SessionNotFound, UnreadableRecord."""
        async with _translated():
            kept: Any = await self._client.hmget(self._key("SESSION", session_id), ["record", "last_active"])
        record, last_active = kept
        if record is None:
            raise SessionNotFound
        return read_session(record, last_active)

    async def start(self, session: Session, *, max_seats: int, op: str, fingerprint: str = "") -> StartResult:
        """Give back the user's live session or admit this one. Raises NoCapacity, OperationReused."""
        reply = await self._run(scripts.START, fingerprint=fingerprint, **self._facts(session, op, max_seats))
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
        reply = await self._run(scripts.WRITE, expected=session.rev, **self._facts(changed, op, max_seats))
        match reply:
            case ["done"]:
                return changed
            case ["again", str(record), last_active]:
                return read_session(record, last_active)
            case _:
                raise _REFUSED.get(reply[0], UnreadableRecord)

    async def touch(self, session_id: str) -> None:
        """Set `last_active` to now, without a new revision."""
        await self._run(scripts.TOUCH, id=session_id)

    async def page(self, states: Collection[State], *, limit: int, cursor: str | None = None) -> Page:
        """Sessions in any of `states`, newest first. Raises ValueError when the cursor is none of ours."""
        score, last = from_cursor(cursor) if cursor is not None else ("+inf", "")
        limit = max(1, limit)
        names = " ".join(sorted(set(states)))
        reply = await self._run(scripts.PAGE, states=names, limit=limit, score=score, id=last)
        sessions = []
        for session_id, record, last_active in zip(reply[2::3], reply[3::3], reply[4::3], strict=True):
            try:
                sessions.append(read_session(record, last_active))
            except UnreadableRecord as error:
                _log.warning("left session %s out of a list: %s", session_id, error)
        return Page(sessions, to_cursor(float(reply[0]), reply[1]) if reply[0] else None)

    async def counts(self) -> Mapping[State, int]:
        """How many sessions are in each state now."""
        states = list(State)
        reply = await self._run(scripts.COUNTS, states=" ".join(states))
        return dict(zip(states, map(int, reply), strict=True))

    async def seats(self) -> int:
        """How many seats are taken."""
        async with _translated():
            return int(await self._client.scard(self._key("SEATS")))

    async def say(self, session_id: str, utterance: Utterance, *, attempt: int, job: str) -> None:
        """Append to the transcript. Raises Stale when the agent is not the current one of a live session."""
        said = to_json(utterance)
        if not await self._run(scripts.SAY, id=session_id, attempt=attempt, job=job, utterance=said):
            raise Stale

    async def transcript(self, session_id: str) -> Sequence[Utterance]:
        """All that was said, in order."""
        async with _translated():
            said: Any = await self._client.lrange(self._key("TRANSCRIPT", session_id), 0, -1)
        return [from_json(Utterance, each) for each in said]

    async def log(self, session_id: str, event: str, *, level: str = "info", **facts: Any) -> None:
        """Append to the session's log."""
        await self._run(scripts.NOTE, id=session_id, entry=entry_to_json(event, level, facts))

    async def logs(self, session_id: str, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest `limit` log entries, oldest first."""
        if limit < 1:
            return []
        async with _translated():
            lines: Any = await self._client.lrange(self._key("LOG", session_id), -limit, -1)
        return [_read_entry(line) for line in lines]

    async def first_time(self, key: str, *, seconds: float) -> bool:
        """Whether `key` was not seen within the last `seconds`; remembers it."""
        async with _translated():
            fresh = await self._client.set(self._key("SEEN", key), "1", nx=True, px=math.ceil(seconds * 1000))
        return bool(fresh)

    async def beat(self, worker: Worker) -> None:
        """Record the worker's heartbeat, stamped with the server's clock."""
        await self._run(scripts.BEAT, id=worker.id, worker=to_json(worker))

    async def workers(self, *, seen_within: float) -> Sequence[Worker]:
        """Workers whose last heartbeat is at most this many seconds old, by id; unreadable ones are left out."""
        reply = await self._run(scripts.SEEN_WORKERS, seen_within=seen_within)
        workers = []
        for record, seen_at in zip(reply[::2], reply[1::2], strict=True):
            try:
                workers.append(replace(from_json(Worker, record), seen_at=float(seen_at)))
            except UnreadableRecord as error:
                _log.warning("left a worker out of the pool: %s", error)
        return sorted(workers, key=lambda worker: worker.id)

    async def count_spawned(self, processes: int) -> None:
        """Add to the total of processes that were ever warmed."""
        async with _translated():
            await self._client.hincrby(self._key("TOTALS"), "spawned", processes)

    async def claim_refused(self) -> None:
        """Add to the total of claims that changed nothing."""
        async with _translated():
            await self._client.hincrby(self._key("TOTALS"), "refused_claims", 1)

    async def stats(self) -> Stats:
        """Totals since the store began."""
        async with _translated():
            names = ["spawned", "assigned", "startup_seconds", "refused_claims", "refused_checkpoints"]
            spawned, assigned, seconds, *refused = await self._client.hmget(self._key("TOTALS"), names)
        return Stats(int(spawned or 0), int(assigned or 0), float(seconds or 0), *(int(each or 0) for each in refused))

    def _key(self, name: str, end: str = "") -> str:
        return f"{self._prefix}{scripts.KEYS[name]}{end}"

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
            "max_seats": "" if max_seats is None else max_seats,
            "keep_ms": self._keep_ms,
        }

    async def _command(self, *words: Any) -> Any:
        async with _translated():
            return await self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def _run(self, script: str, **arguments: Any) -> Any:
        prepared = self._scripts.get(script) or self._scripts.setdefault(script, self._client.register_script(script))
        flat = [part for pair in arguments.items() for part in pair]
        async with _translated():
            return await prepared(keys=[self._prefix], args=flat)


_REFUSED = {"other": OperationReused, "full": NoCapacity, "missing": SessionNotFound, "conflict": Conflict}


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Whatever the driver or the server (busy, loading, full, read-only) says, in time, as StoreUnavailable.

    A deadline that ends a `wait_for` of the driver at the very moment when it is done comes out as a cancellation where
    Pipecat has put wait_for2 in its place (Python 3.11). If nobody cancelled this task, that is what it was. If
    somebody did, it is handed on as a plain one: the `asyncio.timeout` it came from does not recognise wait_for2's own.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable from error
    except asyncio.CancelledError as error:
        if task is None or task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise StoreUnavailable from error


def _user(owner: str, user_id: str | None) -> str:
    """The end of the user's key: fixed length, so that no id can be made to look like another's."""
    if user_id is None:
        return ""
    return hashlib.sha256(json.dumps([owner, user_id]).encode()).hexdigest()[:40]


def _read_entry(line: str) -> dict[str, Any]:
    at, _, entry = line.partition(" ")
    try:
        written = float(at)
    except ValueError:
        raise UnreadableRecord("a stored log entry has no time") from None
    return entry_from_json(entry, written)
