"""A process namespace of its own, in which what is started is the first process, as in a container without an init."""

from __future__ import annotations

import shutil
import subprocess

import pytest

UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def can_unshare() -> bool:
    """Whether this machine lets us make one."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


needs_unshare = pytest.mark.skipif(not can_unshare(), reason="process namespaces can't be made here (unshare)")
