"""The wire between a test and the tools of an agent in another process."""

import asyncio

import pytest

from agent_tests.speech.wire import Wire, tapped
from greenroom.testing.exchange import ToolCall
from pipeline.agents.files import forget_agents, load_agents
from pipeline.agents.tools import Call, describe, run

pytestmark = pytest.mark.anyio
AGENT = '''
import asyncio
from greenroom import Agent, Call, end_call

async def price(pizza: str, call: Call) -> str:
    """Look up a price.

    Args:
        pizza: Its name.
    """
    await asyncio.sleep(0.05)
    return {"salami": "11 euros"}[pizza]

agent = Agent(name="default", prompt="Be kind.", greeting="Hello.", tools=[price, end_call])
'''


async def nothing():
    pass


@pytest.fixture
def wired(tmp_path):
    own, folder = tmp_path / "own", tmp_path / "wire"
    own.mkdir()
    folder.mkdir()
    (own / "default.py").write_text(AGENT)
    wire = Wire(folder)
    home = wire.lay(own, ["default"])
    yield wire, home
    forget_agents(home)
    forget_agents(own)


def tool(home):
    return describe(load_agents(home)["default"].tools[0])


async def called(home, pizza):
    return await run(tool(home), {"pizza": pizza}, Call("session_1", "default", nothing), 5)


async def test_a_worker_loads_agents_that_stand_for_the_authors_own(wired):
    _, home = wired
    agent = load_agents(home)["default"]
    assert (agent.name, agent.prompt, len(agent.tools)) == ("default", "Be kind.", 2)
    assert tool(home).required == ("pizza",)


async def test_a_call_is_seen_while_it_runs_and_when_it_has_ended(wired):
    wire, home = wired
    task = asyncio.ensure_future(called(home, "salami"))
    async with asyncio.timeout(5):
        while not wire.running:
            assert wire.calls() == []
            await asyncio.sleep(0.005)
    assert await task == "11 euros"
    assert wire.calls() == [ToolCall("price", {"pizza": "salami"}, "11 euros")]
    assert not wire.running
    assert wire.calls() == []


async def test_a_test_answers_for_a_tool_until_it_no_longer_does(wired):
    wire, home = wired
    wire.answer({"price": "free"})
    assert await called(home, "salami") == "free"
    wire.answer({})
    assert await called(home, "salami") == "11 euros"
    assert [call.result for call in wire.calls()] == ["free", "11 euros"]


async def test_an_error_comes_through(wired):
    wire, home = wired
    assert "error" in await called(home, "funghi")
    (call,) = wire.calls()
    assert call.error.startswith("KeyError: 'funghi' at ")


def test_tapped_finds_the_agent_by_name(wired, tmp_path):
    assert tapped(str(tmp_path / "own"), "default", str(tmp_path / "wire")).greeting == "Hello."
