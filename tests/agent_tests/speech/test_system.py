"""Conversations that are held aloud: real rooms, real speech, and the agents' tools in another process."""

import os
import subprocess
import sys

import pytest

from agent_tests.cases import Case
from agent_tests.run import Unsuitable
from agent_tests.speech.system import check_suits
from bench.harness.system import FOREIGN, PORTS, ROOT, free_ports

pytestmark = pytest.mark.faults
TESTS = """
conversations:
- name: knows the time
  tools: {current_time: "Monday, 23 November 2026, 14:05"}
  talk:
  - said: how can I help
  - caller: What time is it?
    called: current_time
    said: "14:05"
    ended: false
  - caller: Goodbye.
    said: goodbye
    ended: finished
- name: is only for text
  brain: [Hello]
  talk: {said: Hello}
- name: expects too much
  talk: {said: Guten Tag}
"""


async def nothing(_):
    pass


def test_what_needs_this_process_is_for_text_alone(tmp_path):
    check_suits(Case("a", tmp_path, 1, "default", nothing, tools={"price": 3}))
    for case in (
        Case("a", tmp_path, 1, "default", nothing, brain=(("Hello",),)),
        Case("a", tmp_path, 1, "default", nothing, tools={"price": lambda: 3}),
    ):
        with pytest.raises(Unsuitable, match="in text only"):
            check_suits(case)


def test_conversations_are_held_aloud(tmp_path):
    agents = tmp_path / "agents"
    (agents / "tests").mkdir(parents=True)
    (agents / "default.py").write_text((ROOT / "agents" / "default.py").read_text("utf-8"))
    (agents / "tests" / "default.yaml").write_text(TESTS)
    ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN} | ports
    held = subprocess.run(
        [sys.executable, "-m", "cli", "test", "agents", "--speech"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT), "REDIS_URL": "redis://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert "✓ knows the time" in held.stdout, held.stdout + held.stderr
    assert "- is only for text" in held.stdout
    assert "✗ expects too much" in held.stdout
    assert "1 passed, 1 failed, 1 skipped in" in held.stdout
    assert held.returncode == 1


def test_a_system_that_cannot_start_says_why(tmp_path):
    agents = tmp_path / "agents"
    (agents / "tests").mkdir(parents=True)
    (agents / "default.py").write_text((ROOT / "agents" / "default.py").read_text("utf-8"))
    (agents / "tests" / "default.yaml").write_text(TESTS)
    held = subprocess.run(
        [sys.executable, "-m", "cli", "test", "agents", "--speech"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GREENROOM_PORT": "nonsense"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert held.returncode == 2
    assert "GREENROOM_PORT must be a port" in held.stderr
