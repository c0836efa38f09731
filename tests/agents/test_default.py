"""The agent that ships: its one tool of its own tells the time."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.agents.files import load_agents
from pipeline.agents.tools import Call, describe, run

pytestmark = pytest.mark.anyio


async def nothing() -> None:
    pass


async def told(timezone: str) -> str:
    agent = load_agents(Path(__file__).parents[2] / "agents")["default"]
    answer = await run(describe(agent.tools[0]), {"timezone": timezone}, Call("session_1", "default", nothing), 5)
    assert isinstance(answer, str)
    return answer


@pytest.mark.parametrize("zone", ["Europe/Vienna", "Asia/Tokyo"])
async def test_the_time_is_told_for_a_time_zone(zone: str) -> None:
    answer = datetime.strptime(await told(zone), "%A, %d %B %Y, %H:%M").replace(tzinfo=ZoneInfo(zone))
    assert abs((datetime.now(ZoneInfo(zone)) - answer).total_seconds()) < 120


async def test_without_a_time_zone_the_time_here_is_told() -> None:
    answer = datetime.strptime(await told(""), "%A, %d %B %Y, %H:%M").astimezone()
    assert abs((datetime.now().astimezone() - answer).total_seconds()) < 120


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "Europe"])
async def test_a_time_zone_that_does_not_exist_is_said_so(zone: str) -> None:
    assert await told(zone) == f"There is no time zone called {zone}."
