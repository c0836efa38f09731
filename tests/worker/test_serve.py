"""A worker refuses to start with faulty settings or agents, and says what to change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = {
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "a-secret-that-nobody-may-see-0123456789",
}


def _start(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GREENROOM_", "LIVEKIT_"))}
    return subprocess.run(
        [sys.executable, "-m", "worker"],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_missing_keys_are_named_and_given_ones_not_shown(tmp_path):
    result = _start(tmp_path, LIVEKIT_API_SECRET=ENVIRONMENT["LIVEKIT_API_SECRET"])
    assert result.returncode == 2
    assert "LIVEKIT_API_KEY" in result.stderr
    assert ENVIRONMENT["LIVEKIT_API_SECRET"] not in result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def broken(:", "default.py:1"),
        (
            "from pipeline.agents import Agent\nagent = Agent(name='default', prompt='p', greeting='g', llm='gpt')",
            "gpt",
        ),
        (
            "from pipeline.agents import Agent\nagent = Agent(name='default', prompt='p', greeting='g', llm='groq')",
            "GROQ_API_KEY",
        ),
    ],
)
def test_a_faulty_agent_is_a_clear_error_when_the_worker_starts(tmp_path, text, expected):
    (tmp_path / "default.py").write_text(text)
    result = _start(tmp_path, **ENVIRONMENT, GREENROOM_AGENTS=str(tmp_path))
    assert result.returncode == 2
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
