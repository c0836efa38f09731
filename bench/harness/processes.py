"""Memory and processor time of processes, from the kernel's own books."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

MB = 1024.0 * 1024.0


@dataclass(frozen=True)
class ProcessMemory:
    """Of one process, in MB (2²⁰ bytes).

    Attributes:
        own: What would be free if it went: pages that nobody else maps (Private_Clean + Private_Dirty).
        pss: Its own, and its share of what it shares: these add up to what all really use.
        allocated: What it has taken for data, shared with its forks or not: the one that tells whether a process grows
            that others are forked from, as its pages are its own or shared by what those others do.
    """

    own: float
    pss: float
    allocated: float


def parsed(rollup: str) -> ProcessMemory:
    """What a `smaps_rollup` says."""
    kilobytes: dict[str, int] = {}
    for line in rollup.splitlines()[1:]:
        name, _, rest = line.partition(":")
        kilobytes[name] = int(rest.split()[0])
    own = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return ProcessMemory(own * 1024 / MB, kilobytes["Pss"] * 1024 / MB, kilobytes["Anonymous"] * 1024 / MB)


def memory(pid: int) -> ProcessMemory:
    """Of the process now. Raises OSError when it is gone."""
    return parsed(Path(f"/proc/{pid}/smaps_rollup").read_text("ascii"))


def total_pss(pids: Iterable[int]) -> float:
    """MB that these processes use together, each page counted once."""
    total = 0.0
    for pid in pids:
        try:
            total += memory(pid).pss
        except (OSError, KeyError):  # it ended in between, or is ending
            continue
    return total


def in_a_call(process: psutil.Process) -> bool:
    """Whether the process has media going: only then it has UDP sockets."""
    try:
        return bool(process.net_connections(kind="udp"))
    except psutil.Error:
        return False


class CpuMeter:
    """Cores that a process used since the meter was made: user and system time, by wall time."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._used = self._now()
        self._since = time.monotonic()

    def cores(self) -> float:
        """Average since the beginning."""
        return (self._now() - self._used) / (time.monotonic() - self._since)

    def _now(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)
