"""Workers and totals, kept in Valkey or Redis; store.py puts it together with the other parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from session.errors import UnreadableRecord
from session.store.codec import from_json, to_json
from session.store.orders import Orders
from session.store.ports import NOTE_SECONDS, SILENT_SECONDS, Stats, Worker
from session.store.redis.connection import Connection
from session.store.redis.orders import read_order


class RedisPool:
    """PoolStore over a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def beat(self, worker: Worker) -> Orders:
        """Record the worker's heartbeat, stamped with the server's clock; gives what it is ordered."""
        target, kept = await self._connection.run("beat", id=worker.id, worker=to_json(worker))
        given = read_order(kept)
        order = given.order if given is not None and given.holds(worker.started_at) else None
        return Orders(target=int(target) if target and target.isdecimal() else None, order=order)

    async def gone(self, worker_id: str) -> None:
        """Note that the worker has died."""
        await self._connection.run("gone", id=worker_id, seconds=SILENT_SECONDS)

    async def workers(self, *, seen_within: float) -> Sequence[Worker]:
        """Workers whose last heartbeat is at most this many seconds old, by id; unreadable ones are left out."""
        reply = await self._connection.run("seen_workers", seen_within=seen_within)
        workers = []
        for worker_id, record, seen_at in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
            try:
                workers.append(replace(from_json(Worker, record), seen_at=float(seen_at)))
            except UnreadableRecord as error:
                self._connection.unreadable.passed_over("worker", worker_id, error)
        return sorted(workers, key=lambda worker: worker.id)

    async def count_spawned(self, processes: int) -> None:
        """Add to the total of processes that were ever warmed."""
        await self._connection.command("HINCRBY", self._connection.key("TOTALS"), "spawned", processes)

    async def count_failures(self, failures: int) -> None:
        """Add to the total of tasks of workers that failed unexpectedly."""
        await self._connection.command("HINCRBY", self._connection.key("TOTALS"), "task_failures", failures)

    async def claim_refused(self) -> None:
        """Add to the total of claims that changed nothing."""
        await self._connection.command("HINCRBY", self._connection.key("TOTALS"), "refused_claims", 1)

    async def stats(self) -> Stats:
        """Totals since the store began."""
        others = ["refused_claims", "refused_checkpoints", "task_failures", "failed"]
        names = ["spawned", "assigned", "startup_seconds", *others]
        spawned, assigned, seconds, *counts = await self._connection.command(
            "HMGET", self._connection.key("TOTALS"), *names
        )
        return Stats(int(spawned or 0), int(assigned or 0), float(seconds or 0), *(int(each or 0) for each in counts))

    async def note(self, name: str) -> str | None:
        """What is kept under this name."""
        text = await self._connection.command("GET", self._connection.key("NOTE", name))
        return None if text is None else str(text)

    async def keep_note(self, name: str, text: str) -> None:
        """Keep what a task must know at its next run."""
        key = self._connection.key("NOTE", name)
        await self._connection.command("SET", key, text, "PX", int(NOTE_SECONDS * 1e3))
