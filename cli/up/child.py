"""One started program: its process group, its output and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

from cli.up.reaper import Reaper

GROUP_SECONDS = 1.0  # what a program's own children may take after it, at a stop, before they are killed
POLL_SECONDS = 0.05


class Child:
    """A program in a process group of its own, so that it and its children can be ended together."""

    def __init__(self, process: subprocess.Popen[str], reaper: Reaper) -> None:
        self._process = process
        self._reaper = reaper
        self.pid = process.pid
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The exit code, once there is one; negative: the signal that ended it."""

    @classmethod
    def start(
        cls, command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None], reaper: Reaper
    ) -> Child:
        """Start `command`; `on_line` is called from a thread with every line it or its children print.

        Raises OSError when it can't be started.
        """
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        reaper.add(process.pid)
        child = cls(process, reaper)
        # Threads, because the children of a program may hold its output open for longer than it lives; daemons, because
        # that must not hold us up.
        threading.Thread(target=child._read, args=(on_line,), daemon=True).start()
        threading.Thread(target=child._wait, args=(asyncio.get_running_loop(),), daemon=True).start()
        return child

    def signal(self, number: int) -> None:
        """Send a signal to the program itself, if it still runs."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the program and all its children at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def stop(self, seconds: float) -> bool:
        """Ask the program to end and wait for that; after `seconds` kill it. True when it ended by itself."""
        self.signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self.exited], timeout=seconds)
        if not done:
            self.kill()
            await self.exited
        await self.sweep(GROUP_SECONDS)
        return bool(done)

    async def sweep(self, seconds: float) -> None:
        """Give the children of a program that has ended `seconds` to end, too; then kill them."""
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            if not self._has_group():  # nothing tells of the end of a process that isn't our child: ask
                break
            await asyncio.sleep(POLL_SECONDS)
        self.kill()
        self._reaper.remove(self.pid)

    def _has_group(self) -> bool:
        """Whether any process of the group is left."""
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):  # PermissionError: macOS, when only zombies are left
            return False
        return True

    def _read(self, on_line: Callable[[str], None]) -> None:
        """Hand on the output until nobody can write any more."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                on_line(line)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the loop of the program's end; a loop that has been closed no longer wants to know."""
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._ended, code)

    def _ended(self, code: int) -> None:
        if not self.exited.done():
            self.exited.set_result(code)
