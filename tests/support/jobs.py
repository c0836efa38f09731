"""Finds the process of a call in a running system; knows no API."""

from __future__ import annotations

import psutil

from bench.harness.idle import job_processes
from bench.harness.processes import in_a_call
from bench.harness.system import System, until


def job_in_a_call(system: System) -> psutil.Process:
    """The one process that has a call; an AssertionError when there is none, or more than one, for 5 s."""

    def found() -> psutil.Process | None:
        busy = [process for process in job_processes(system) if in_a_call(process)]
        return busy[0] if len(busy) == 1 else None

    process: psutil.Process = until(found, 5, "exactly one process with a call")
    return process
