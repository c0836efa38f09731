"""What the forkserver loads, seen in a fresh process: everything a call needs, and nothing that a fork would break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

LOOK = """
import gc, json, os, sys, threading
import numpy, onnxruntime  # each starts a thread of its own when imported, and minds the fork itself

before = len(os.listdir("/proc/self/task"))
from worker.process.preload import WARM
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn
from pipeline.local import tts as hibari
from livekit.rtc._ffi_client import FfiClient

links = []
for number in os.listdir("/proc/self/fd"):
    try:
        links.append(os.readlink(f"/proc/self/fd/{number}"))
    except OSError:
        pass
print(json.dumps({
    "pid": WARM.pid == os.getpid(),
    "agents": sorted(WARM.agents),
    "kept": [text for text, _ in hibari._kept],
    "apology": len(WARM.apology) / 2 / 24000,
    "moment": len(WARM.moment) / 2 / 24000,
    "turn": isinstance(WARM.analyzers.turn, BaseSmartTurn),
    "frozen": gc.get_freeze_count(),
    "python_threads": threading.active_count(),
    "threads": len(os.listdir("/proc/self/task")) - before,
    "sockets": [link for link in links if link.startswith("socket:")],
    "ffi": getattr(FfiClient, "_instance", None) is not None,
    "missing": [name for name in sys.argv[1:] if name not in sys.modules],
    "worker": WARM.worker.worker_id,
}))
"""

CALLS_NEED = (
    "worker.process.job",
    "worker.call.call",
    "session.store.redis.store",
    "pipeline.talk.conversation",
    "pipecat.adapters.llm.services.open_ai_adapter",
)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is a forkserver on Linux only"),
]


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")}
    keys = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32, "GREENROOM_WORKER_ID": "tested"}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *CALLS_NEED],
        cwd=ROOT,
        env=inherited | keys,
        capture_output=True,
        text=True,
        timeout=110,  # 10 s on a machine with nothing else to do
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_agents_and_listening_models_are_loaded(seen: dict[str, Any]) -> None:
    assert "default" in seen["agents"]
    assert seen["turn"]
    assert seen["pid"]


def test_greeting_and_sentences_of_our_own_are_synthesised(seen: dict[str, Any]) -> None:
    assert any("help you" in text for text in seen["kept"]), "the greeting is not"
    assert 1 < seen["apology"] < 8
    assert 0.5 < seen["moment"] < 3


def test_what_every_call_imports_is_imported(seen: dict[str, Any]) -> None:
    assert seen["missing"] == []


def test_the_workers_settings_are_read(seen: dict[str, Any]) -> None:
    assert seen["worker"] == "tested"


def test_memory_stays_shared_after_the_fork(seen: dict[str, Any]) -> None:
    assert seen["frozen"] > 10_000


def test_no_thread_and_no_socket_would_be_lost_in_a_fork(seen: dict[str, Any]) -> None:
    assert seen["python_threads"] == 1
    assert seen["threads"] == 0
    assert seen["sockets"] == []


def test_livekits_native_library_is_not_started(seen: dict[str, Any]) -> None:
    assert not seen["ffi"]
