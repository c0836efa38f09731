"""One started program: its lines, its end, its children."""

import asyncio
import os
import sys

import psutil
import pytest

from bench.harness.system import alive, until
from cli.up.child import Child
from cli.up.reaper import Reaper

pytestmark = pytest.mark.anyio
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


class Lines(list[str]):
    """What a program printed."""

    async def wait_for(self, text: str) -> None:
        await asyncio.to_thread(until, lambda: any(text in line for line in self), 5, text)


@pytest.fixture
def reaper():
    reaper = Reaper()
    yield reaper
    reaper.close()


async def test_its_lines_are_handed_on_whatever_bytes_are_in_them(reaper):
    lines = Lines()
    Child.start(["printf", r"one\n\377two\n" + "x" * 100_000 + r"\nlast"], os.environ, lines.append, reaper)
    await lines.wait_for("last")
    assert [line.rstrip() for line in lines] == ["one", "\ufffdtwo", "x" * 100_000, "last"]


async def test_its_exit_code_is_told(reaper):
    child = Child.start(["sh", "-c", "exit 7"], os.environ, print, reaper)
    assert await asyncio.wait_for(child.exited, 5) == 7


async def test_a_program_that_is_not_there_is_an_error(reaper):
    with pytest.raises(OSError, match="no-such-program"):
        Child.start(["/no-such-program"], os.environ, print, reaper)


async def test_one_that_ends_when_asked_is_not_killed(reaper):
    child = Child.start(["sleep", "60"], os.environ, print, reaper)
    assert await child.stop(5)
    assert child.exited.result() == -15


async def test_one_that_ignores_the_request_is_killed(reaper):
    lines = Lines()
    child = Child.start([sys.executable, "-c", DEAF], os.environ, lines.append, reaper)
    await lines.wait_for("deaf")
    assert not await child.stop(0.2)
    assert child.exited.result() == -9


async def test_its_children_end_with_it(reaper):
    child = Child.start(["sh", "-c", "sleep 61 & sleep 61"], os.environ, print, reaper)
    children = until(lambda: len(found := psutil.Process(child.pid).children()) == 2 and found, 5, "two children")
    await child.stop(5)
    until(lambda: not any(alive(each.pid) for each in children), 5, "the children are gone")


async def test_children_that_it_leaves_behind_get_a_moment_and_are_killed_then(reaper):
    lines = Lines()
    child = Child.start(["sh", "-c", "sleep 61 & echo $!"], os.environ, lines.append, reaper)
    await asyncio.wait_for(child.exited, 5)
    await lines.wait_for("\n")
    orphan = int(lines[0])
    assert alive(orphan)
    await child.sweep(0.1)
    until(lambda: not alive(orphan), 5, "the orphan is gone")
