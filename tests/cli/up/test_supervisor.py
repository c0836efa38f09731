"""Parts that start in order, die, come back and stop: small programs in their place, real processes."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.harness.system import alive
from cli.up.output import Output
from cli.up.parts import Part
from cli.up.reaper import Reaper
from cli.up.supervisor import BACKOFF_MOST, GaveUp, Supervisor, backoff, how_it_ended

pytestmark = pytest.mark.anyio

# Says that it is ready by making a file, and when it was asked to end.
PROGRAM = """
import pathlib, signal, sys, time
def end(*_):
    print("asked to end", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1]).touch()
print("started", flush=True)
time.sleep(60)
"""


class Stage:
    """Parts, their supervisor, and what was printed."""

    def __init__(self, directory: Path, parts: Callable[["Stage"], list[Part]]) -> None:
        self.directory = directory
        self.stream = io.StringIO()
        self.ready: list[dict[str, int]] = []
        self.stop = asyncio.Event()
        self.reaper = Reaper()
        chosen = parts(self)
        output = Output(self.stream, [part.name for part in chosen], colour=False)
        self.supervisor = Supervisor(chosen, output, self.reaper, on_ready=self.ready.append)
        self.task = asyncio.create_task(self.supervisor.run(self.stop))

    def part(self, name: str, needs: tuple[str, ...] = (), **more: Any) -> Part:
        """A part that is ready when its program has made its file."""
        file = self.directory / name

        async def ready() -> str | None:
            return None if file.exists() else "no file yet"

        more.setdefault("command", (sys.executable, "-c", PROGRAM, str(file)))
        return Part(name=name, ready=ready, needs=needs, **more)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                if self.task.done():
                    self.task.result()
                    raise AssertionError(f"it ended: {self.lines}")
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 15)


@pytest.fixture
async def stage(tmp_path):
    stages: list[Stage] = []

    def make(parts: Callable[[Stage], list[Part]]) -> Stage:
        stages.append(Stage(tmp_path, parts))
        return stages[0]

    yield make
    for each in stages:
        each.stop.set()
        await asyncio.gather(each.task, return_exceptions=True)
        each.reaper.close()


def two(stage: Stage) -> list[Part]:
    return [stage.part("store"), stage.part("api", needs=("store",))]


async def test_a_part_starts_when_what_it_needs_is_ready(stage, tmp_path):
    async def never() -> str:
        return "not in this test"

    running = stage(lambda s: [Part("store", ("sleep", "60"), never), s.part("api", needs=("store",)), s.part("other")])
    await running.until(lambda: any("other" in line and "started" in line for line in running.lines))
    assert not (tmp_path / "api").exists()
    assert running.ready == []


async def test_readiness_is_told_once_with_the_process_ids(stage):
    running = stage(two)
    await running.until(lambda: running.ready)
    assert running.ready[0].keys() == {"store", "api"}
    assert all(alive(pid) for pid in running.ready[0].values())
    assert len(running.ready) == 1


async def test_a_part_that_dies_is_started_again_and_both_are_said(stage):
    running = stage(two)
    await running.until(lambda: running.ready)
    os.kill(running.ready[0]["api"], signal.SIGKILL)
    await running.until(lambda: len(running.ready) == 2)
    assert "greenroom | api died (killed by SIGKILL); starting it again in 0.5 s" in running.lines
    assert "greenroom | api runs again" in running.lines
    assert running.ready[1]["store"] == running.ready[0]["store"]
    assert running.ready[1]["api"] != running.ready[0]["api"]


async def test_the_last_started_is_stopped_first_and_nothing_is_left(stage):
    running = stage(two)
    await running.until(lambda: running.ready)
    await running.end()
    assert [line for line in running.lines if "asked to end" in line] == [
        "api       | asked to end",
        "store     | asked to end",
    ]
    assert not any(alive(pid) for pid in running.ready[0].values())


async def test_a_part_that_never_gets_to_run_ends_all_and_is_named(stage):
    running = stage(lambda s: [s.part("store"), s.part("api", command=("sh", "-c", "echo broken file; exit 3"))])
    with pytest.raises(GaveUp, match="api died 3 times while starting, the last time with exit code 3"):
        await asyncio.wait_for(running.task, 15)
    assert "api       | broken file" in running.lines
    assert running.ready == []


async def test_a_part_whose_settings_are_wrong_ends_all_at_once_and_is_not_tried_again(stage):
    running = stage(lambda s: [s.part("api", command=("sh", "-c", "echo no key; exit 2"))])
    with pytest.raises(GaveUp, match="api can't run as it is set up"):
        await asyncio.wait_for(running.task, 5)
    assert running.lines.count("api       | no key") == 1


async def test_a_program_that_is_not_there_ends_all_at_once(stage):
    running = stage(lambda s: [s.part("api", command=("/no-such-program",))])
    with pytest.raises(GaveUp, match=r"api can't be started: .*no-such-program"):
        await asyncio.wait_for(running.task, 5)


def deaf(stage: Stage, stop_seconds: float) -> list[Part]:
    """A part that ignores the request to end."""
    script = "trap '' TERM; touch \"$0\"; while :; do sleep 0.1; done"
    return [stage.part("api", command=("sh", "-c", script, str(stage.directory / "api")), stop_seconds=stop_seconds)]


async def test_one_that_does_not_stop_is_killed_and_that_is_said(stage):
    running = stage(lambda s: deaf(s, 0.2))
    await running.until(lambda: running.ready)
    await running.end()
    assert "greenroom | api took too long to stop and was killed" in running.lines


async def test_killing_waits_for_nobody(stage):
    running = stage(lambda s: deaf(s, 60.0))
    await running.until(lambda: running.ready)
    running.stop.set()
    await asyncio.sleep(0)
    running.supervisor.kill()
    await asyncio.wait_for(running.task, 5)


def test_backoff_doubles_up_to_its_most():
    assert [backoff(deaths) for deaths in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff(50) == BACKOFF_MOST


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (2, "exit code 2"), (-9, "killed by SIGKILL"), (-64, "killed by SIGRTMAX")]
)
def test_an_end_is_said_in_words(code, words):
    assert how_it_ended(code) == words


async def test_an_error_of_our_own_that_nobody_expected_ends_everything_and_says_where(tmp_path, caplog):
    class Broken(Exception):
        """Nobody expects it."""

    async def ready():
        raise Broken("the secret is 4711")

    part = Part("one", (sys.executable, "-c", "import time; time.sleep(60)"), ready)
    reaper = Reaper()
    try:
        supervisor = Supervisor([part], Output(io.StringIO(), ["one"], colour=False), reaper, on_ready=lambda _: None)
        async with asyncio.timeout(20):
            with pytest.raises(GaveUp, match=r"greenroom up has failed \(probe one: Broken at tests/cli/up/"):
                await supervisor.run(asyncio.Event())
    finally:
        reaper.close()
    assert "task=probe one error=Broken at " in caplog.text
    assert "4711" not in caplog.text
