"""A system of its own for each file of drills, callers, and the table of times at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from bench.harness.system import System, until
from client.caller import Caller
from client.wav import Sound
from tests.drills.report import Report
from tests.drills.talk import Talk

REPORT = Report()
BURIED_SECONDS = 5.0
ENVIRONMENT = {
    "PREWARM_POOL_SIZE": "2",
    "GREENROOM_SLOTS": "8",
    "GREENROOM_RATE_LIMIT": "off",
    "GREENROOM_HANGUP_GRACE": "5",
    "GREENROOM_CALLER_GRACE": "20",
}


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """What the system of this file is told; a file may have another."""
    return ENVIRONMENT


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("drill")
    with System(directory, environment) as running:
        yield running
        until(lambda: not running.zombies(), BURIED_SECONDS, "every process that has died is buried")


@pytest.fixture
async def talk(system: System, speech: Callable[[str], Sound]) -> AsyncIterator[Talk]:
    """A caller that is in no room yet; its session is stopped at the end."""
    async with Caller(system.url) as caller:
        yield Talk(system, caller, speech)
        if caller.started is not None:
            await caller.stop()


@pytest.fixture
def timed(request: pytest.FixtureRequest) -> Callable[[str, float], float]:
    """Notes a measured time for the table, and gives it back."""

    def note(figure: str, seconds: float) -> float:
        REPORT.add(request.node.originalname.removeprefix("test_"), figure, seconds)
        return seconds

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if REPORT.figures:
        terminalreporter.section("times")
        for line in REPORT.lines():
            terminalreporter.write_line(line)
