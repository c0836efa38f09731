"""One thread for this process's local models, and the memory they give back; stt.py and tts.py run on it.

Measured on two cores (glibc 2.36, onnxruntime 1.32), private memory of a forked call process after six rounds of
hearing and speaking: 90 MB with Python's default executor, whose six threads each grow a heap of their own; 62 MB with
one thread; 9 MB with one thread, sessions without arenas (`session_options`) and the heap given back after each use.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import onnxruntime as ort

P = ParamSpec("P")
T = TypeVar("T")

M_ARENA_MAX = -8  # <malloc.h>
HEAPS = 2  # one for Python's main thread, one for all others

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_lane: ThreadPoolExecutor | None = None


def session_options() -> ort.SessionOptions:
    """Options for a model that is loaded before a fork and runs after it.

    Returns:
        One intra-op and one inter-op thread, so that no thread is lost in the fork, and no arena, so that memory goes
        back to the heap after each run.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    return options


def bound_heaps() -> None:
    """Keep this process, and all forked from it, at `HEAPS` heaps; where there is no glibc, do nothing."""
    if _libc is not None and hasattr(_libc, "mallopt"):
        _libc.mallopt(M_ARENA_MAX, HEAPS)


def give_back() -> None:
    """Return what is free in the heaps to the system; where there is no glibc, do nothing."""
    if _libc is not None and hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function on the lane, off the event loop, in the order of asking.

    Args:
        function: What to run.
        *args: Its arguments.
        **kwargs: Its named arguments.

    Returns:
        What it returns; what it raises is raised here. The heap is given back after the result is out, so nobody
        waits for that.
    """
    lane = _opened()
    running = asyncio.get_running_loop().run_in_executor(lane, functools.partial(function, *args, **kwargs))
    lane.submit(give_back)
    return await running


def _opened() -> ThreadPoolExecutor:
    global _lane
    if _lane is None:
        _lane = ThreadPoolExecutor(max_workers=1, thread_name_prefix="models")
    return _lane


def _forget() -> None:
    """A forked child has none of its parent's threads: it opens a lane of its own."""
    global _lane
    _lane = None


os.register_at_fork(after_in_child=_forget)
