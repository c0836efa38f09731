"""Leaves no process behind, even when `greenroom up` itself is killed: a tiny shell that outlives it and cleans up."""

from __future__ import annotations

import contextlib
import subprocess

# It is told of every process group by a pipe. The pipe's end means that `greenroom up` is gone, however it went: what
# is still there is then asked to end, and made to after 3 seconds. A shell, for it needs 1 MB where a Python needs 9.
# Not PR_SET_PDEATHSIG: that reaches direct children only, and the worker's are grandchildren; and macOS hasn't got it.
SCRIPT = """
trap '' HUP INT TERM
groups=' '
while read -r change group; do
  case $change in
    add) groups="$groups$group " ;;
    remove) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
alive() { for group in $groups; do kill -s 0 -- -$group 2>/dev/null && return 0; done; return 1; }
for group in $groups; do kill -s TERM -- -$group 2>/dev/null; done
for tick in 1 2 3; do alive || exit 0; sleep 1; done
for group in $groups; do kill -s KILL -- -$group 2>/dev/null; done
"""


class Reaper:
    """Remembers the process groups that must not outlive this process."""

    def __init__(self, *, holds: tuple[int, ...] = ()) -> None:
        """Start the shell; `holds` are file descriptors that it keeps open until everything is gone (a lock)."""
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
            pass_fds=holds,
        )

    def add(self, group: int) -> None:
        """From now on the process group `group` is ended with us."""
        self._tell(f"add {group}\n")

    def remove(self, group: int) -> None:
        """The process group `group` is empty: its number may come to mean somebody else."""
        self._tell(f"remove {group}\n")

    def close(self, timeout: float = 6.0) -> None:
        """End every group that is left and wait for it, at most `timeout` seconds (the script needs 3 and a little)."""
        assert self._shell.stdin is not None
        with contextlib.suppress(OSError):
            self._shell.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._shell.wait(timeout)

    def _tell(self, line: str) -> None:
        """Write to the shell; if somebody killed it, we go on without."""
        assert self._shell.stdin is not None
        with contextlib.suppress(OSError):
            self._shell.stdin.write(line.encode())
            self._shell.stdin.flush()
