"""`greenroom dev`: an agent's author saves its file while calls are going on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.harness.system import ROOT, System, until
from client.caller import Caller

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

RELOAD_SECONDS = 5.0  # within which a new call gets what was saved


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    shutil.copy(ROOT / "agents" / "default.py", folder)
    return folder


@pytest.fixture
def dev(tmp_path: Path, agents: Path) -> Iterator[System]:
    with System(tmp_path, {"GREENROOM_AGENTS": str(agents), "PREWARM_POOL_SIZE": "2"}, command="dev") as system:
        yield system


def write(folder: Path, name: str, greeting: str) -> None:
    text = f'from greenroom import Agent\n\nagent = Agent(name="{name}", prompt="Be kind.", greeting="{greeting}")\n'
    (folder / f"{name}.py").write_text(text)


async def hears(system: System, agent: str, greeting: str) -> None:
    """A new call is greeted so."""
    async with Caller(system.url) as caller:
        await caller.start(agent=agent)
        await caller.join()
        await caller.wait_for_text("agent", greeting, timeout=10)
        await caller.stop()


async def test_new_calls_get_a_saved_file_and_calls_in_progress_go_on(dev: System, agents: Path) -> None:
    async with Caller(dev.url) as first:
        await first.start()
        await first.join()
        await first.wait_for_sound(first.asked_at, timeout=10)
        write(agents, "default", "Good morning from the new file.")
        write(agents, "pizza", "Which pizza would you like?")
        until(lambda: "event=agents_reloaded" in dev.log(), RELOAD_SECONDS, "the files are loaded anew")
        await hears(dev, "default", "Good morning from the new file")
        await hears(dev, "pizza", "Which pizza")
        (agents / "default.py").write_text("def broken(:\n")
        until(lambda: f"{agents}/default.py:1: is not valid Python" in dev.log(), RELOAD_SECONDS, "the fault is said")
        await hears(dev, "default", "Good morning from the new file")
        await first.wait_for_quiet(0.8, timeout=10)
        await first.write("What is twelve plus thirty?")
        await first.wait_for_text("agent", "42", timeout=10)
        await first.stop()
    assert dev.log().count("event=agents_faulty") == 1
