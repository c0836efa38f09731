"""LiveKit's native library keeps its log to itself; looked at in fresh processes, since it is started once in each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

LOOK = """
import asyncio, logging, os, sys

from livekit import rtc
from worker.process import native

class Count(logging.Handler):
    lines = 0
    def emit(self, record):
        Count.lines += "livekit_ffi" not in record.getMessage()  # which tells of the start itself

logging.getLogger("livekit").addHandler(Count())
logging.getLogger("livekit").setLevel(logging.DEBUG)

async def fail_to_connect():
    try:
        await rtc.Room().connect("ws://127.0.0.1:1", "token")
    except rtc.ConnectError:
        print(Count.lines)

if sys.argv[1:] == ["start"]:
    native.start()
asyncio.run(fail_to_connect())
sys.stdout.flush()
os._exit(0)  # the library may abort while Python is being taken down, if it logs then: that is not looked at here
"""


def lines_handed_to_python(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *arguments],
        cwd=ROOT,
        env={**os.environ, "LIVEKIT_RTC_DEBUG": "1", "RUST_LOG": "off"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return int(done.stdout)


def test_python_is_handed_each_line_of_the_native_log_unless_it_is_started_here() -> None:
    assert lines_handed_to_python() > 0
    assert lines_handed_to_python("start") == 0
