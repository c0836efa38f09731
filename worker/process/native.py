"""Starts LiveKit's native library in a job's process, with its log where it belongs; job.py calls it.

Checked against livekit 1.1.21 by tests/worker/process/test_native.py, which fails when a new version moves a name.
"""

from __future__ import annotations

from livekit import rtc
from livekit.rtc import _ffi_client


def start() -> None:
    """Start the library, and leave its log to itself: it writes its errors, or what RUST_LOG asks for.

    The SDK has each line of it, down to the finest, handed to Python, which drops nearly all: that was a third of the
    processor time of a start.
    """
    library = _ffi_client.FfiClient.instance._ffi_lib
    library.livekit_ffi_initialize(_ffi_client.ffi_event_callback, False, b"python", rtc.__version__.encode())
