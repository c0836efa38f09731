"""Watches over the processes of a worker: replaces a forkserver that died, and buries orphans; run.py starts it.

A forkserver that is gone takes nothing along: its processes go on, and the worker's parent hears of their end as
before. But there would be no new ones. A process whose parent has died belongs to the first process of the machine, or
of the container: where that is this one, nobody else buries the dead.

It uses private names of CPython's `multiprocessing`, which tests/worker/host/test_children.py tries on real processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from multiprocessing import forkserver
from typing import Any

from runtime.background import Finished

logger = logging.getLogger("worker")

LOOK_SECONDS = 0.5  # between two looks
INIT = 1  # the process that gets the orphans


class Children:
    """The worker's children.

    Args:
        adopts: whether orphans become children of this process.
    """

    def __init__(self, *, adopts: bool | None = None) -> None:
        self._adopts = os.getpid() == INIT if adopts is None else adopts
        self._over = False

    async def look(self) -> None:
        """Bury orphans that have ended, and get a new forkserver where there was one.

        Raises:
            Finished: there is to be none any more.
        """
        if self._over:
            raise Finished
        if self._adopts:
            self._bury()
        pid = forkserver_pid()
        ended = None if pid is None else _ended(os.P_PID, pid)
        if ended is not None:
            logger.error("event=forkserver_died %s calls go on", _how(ended))
            await asyncio.to_thread(forkserver.ensure_running)  # buries the old one, too

    def end_forkserver(self) -> None:
        """Kill the forkserver, whatever it is loading, and get no other; who waits for it learns so at once."""
        self._over = True
        pid = forkserver_pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _bury(self) -> None:
        while (ended := _ended(os.P_ALL, 0)) is not None and ended.si_pid != forkserver_pid():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(ended.si_pid, os.WNOHANG)


def forkserver_pid() -> int | None:
    """The forkserver of this process, None where it was never needed; it may be dead."""
    pid: int | None = _forkserver()._forkserver_pid
    return pid


def _forkserver() -> Any:
    return forkserver._forkserver


def _ended(kind: int, which: int) -> os.waitid_result | None:
    """How a child has ended that nobody has buried yet; None where none has."""
    try:
        return os.waitid(kind, which, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None


def _how(ended: os.waitid_result) -> str:
    if ended.si_code == os.CLD_EXITED:
        return f"exitcode={ended.si_status}"
    return f"signal={signal.Signals(ended.si_status).name}"
