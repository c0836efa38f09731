"""How many cores this process may use; the worker sizes its slots and its turnstile by it."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: "microseconds of quota, or max" "period"


def cores(quota: Path = QUOTA) -> float:
    """Cores as granted: those this process may run on, and no more than the container's quota.

    Args:
        quota: the file in which the kernel tells the quota; one that is absent or unreadable sets no limit.
    """
    allowed = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        granted, period = quota.read_text("ascii").split()
        return min(allowed, int(granted) / int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return allowed
