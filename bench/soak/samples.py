"""What every process of a running system takes, and what it keeps on its servers; judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psutil
from redis.asyncio import Redis

from bench.harness.processes import in_a_call, memory, total_pss
from bench.harness.rooms import RoomViewer
from bench.harness.system import System
from bench.soak.flat import Allowed, Flatness, judged

ROLES = ("up", "valkey", "livekit", "dispatcher", "worker", "forkserver", "idle", "call")
"""Of processes: the parts, what the worker forks from, what waits for a call, and what is in one."""
OTHER = "other"
MEMORY = Allowed(6.0)  # MB, 2²⁰ bytes
MEMORY_OF_CALLS = Allowed(15.0, share=0.1)  # by how long they have lasted when a sample is taken
MEMORY_OF_LIVEKIT = Allowed(10.0, share=0.2)  # a Go heap breathes
FILES = Allowed(4)
KEYS = Allowed(20, share=0.1)
LASTING = Allowed(5)
KEYS_SETTLE_SECONDS = 630.0  # the longest life of what every call leaves: a webhook's id is known for 600 s
ROOMS = Allowed(2)
PROCESSES = Allowed(2)


@dataclass(frozen=True)
class Usage:
    """One process: MB of its own (of the forkserver, whose pages are its forks' too: allocated), and open files."""

    role: str
    memory: float
    files: int


@dataclass(frozen=True)
class Sample:
    """All of it at one time, `at` in seconds from the beginning.

    Attributes:
        pss: MB that all processes use together.
        keys: In the store; `lasting`: those of them that never expire.
        rooms: On the server.
        zombies: Process ids of those that are dead and not yet waited for.
    """

    at: float
    usages: Sequence[Usage]
    pss: float
    keys: int
    lasting: int
    rooms: int
    zombies: Sequence[int]


@dataclass(frozen=True)
class Series:
    """One thing over time.

    Attributes:
        times: Seconds from the beginning, of each value.
        values: None: there was nothing to measure.
        settles: Seconds for which it grows as it should. A soak that is shorter says nothing of it.
    """

    name: str
    unit: str
    times: Sequence[float]
    values: Sequence[float | None]
    allowed: Allowed
    settles: float = 0.0

    @property
    def verdict(self) -> Flatness:
        """Whether it stayed flat once it had settled."""
        settled = [value for at, value in zip(self.times, self.values, strict=True) if at >= self.settles]
        return judged(settled, self.allowed)

    @property
    def passes(self) -> bool:
        """Whether it stayed flat, or needs a longer soak for its verdict."""
        return self.verdict.flat is True or (self.settles > 0 and self.verdict.flat is None)


class Sampler:
    """Takes samples of one system."""

    def __init__(self, system: System, store: Redis, rooms: RoomViewer) -> None:
        self._system, self._store, self._rooms = system, store, rooms
        self._begin = time.monotonic()

    async def take(self) -> Sample:
        """One sample. Raises NoAnswer when livekit-server gives none, and what the store's driver raises."""
        at = time.monotonic() - self._begin
        # In a thread: the kernel takes some 10 ms for each process, and callers are speaking meanwhile.
        usages, pss, zombies = await asyncio.to_thread(self._processes)
        counts = (await self._store.info("keyspace")).get("db0", {"keys": 0, "expires": 0})
        keys, expiring = int(counts["keys"]), int(counts["expires"])
        return Sample(at, usages, pss, keys, keys - expiring, await self._rooms.count(), zombies)

    def _processes(self) -> tuple[list[Usage], float, list[int]]:
        up = psutil.Process(self._system.process.pid)
        parts = {pid: name for name, pid in self._system.pids.items()}
        every = [up, *up.children(recursive=True)]
        parents = dict(_parents(every))
        usages: list[Usage] = []
        zombies: list[int] = []
        for process in every:
            with contextlib.suppress(psutil.NoSuchProcess, OSError, KeyError):  # it ended in between
                if process.status() == psutil.STATUS_ZOMBIE:
                    zombies.append(process.pid)
                    continue
                role = role_of(process.pid, parents, parts)
                if role == "job":
                    role = "call" if in_a_call(process) else "idle"
                used = memory(process.pid)
                usages.append(Usage(role, used.allocated if role == "forkserver" else used.own, process.num_fds()))
        return usages, total_pss(process.pid for process in every), zombies


def _parents(processes: Sequence[psutil.Process]) -> Iterator[tuple[int, int]]:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            yield process.pid, process.ppid()


def role_of(pid: int, parents: dict[int, int], parts: dict[int, str]) -> str:
    """The role of a process, from who is whose child; `job`: waits for a call or is in one."""
    if pid in parts:
        return parts[pid]
    parent = parents.get(pid, 0)
    if parts.get(parent) == "worker":
        return "forkserver" if pid in parents.values() else OTHER
    return "job" if parts.get(parents.get(parent, 0)) == "worker" else OTHER


def series(samples: Sequence[Sample]) -> list[Series]:
    """Everything that must stay flat; of several processes of one role, their mean."""

    def mean(role: str, what: str) -> list[float | None]:
        found = [[getattr(usage, what) for usage in sample.usages if usage.role == role] for sample in samples]
        return [statistics.fmean(values) if values else None for values in found]

    def made(name: str, unit: str, values: Sequence[float | None], allowed: Allowed, settles: float = 0.0) -> Series:
        return Series(name, unit, [sample.at for sample in samples], values, allowed, settles)

    own = {"call": MEMORY_OF_CALLS, "livekit": MEMORY_OF_LIVEKIT}
    return [
        *(made(f"memory, {role}", "MB", mean(role, "memory"), own.get(role, MEMORY)) for role in ROLES),
        made("memory, all together", "MB", [sample.pss for sample in samples], MEMORY_OF_CALLS),
        *(made(f"open files, {role}", "", mean(role, "files"), FILES) for role in ROLES),
        made("keys in the store", "", [float(sample.keys) for sample in samples], KEYS, KEYS_SETTLE_SECONDS),
        made("keys that never expire", "", [float(sample.lasting) for sample in samples], LASTING),
        made("rooms on the server", "", [float(sample.rooms) for sample in samples], ROOMS),
        made("processes", "", [float(len(sample.usages)) for sample in samples], PROCESSES),
    ]
