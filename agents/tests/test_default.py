"""Conversations with the agent that ships, in Python: for what YAML can't say, such as a tool that fails."""

from greenroom.testing import Caller, brain, calls, tools

AGENT = "default"


def broken(timezone: str) -> str:
    raise ConnectionError("no clock answers")


@tools(current_time=broken)
async def test_a_tool_that_fails_is_no_end(caller: Caller) -> None:
    answer = await caller.says("What time is it?")
    assert answer.called("current_time")
    assert answer.says("failed")
    assert not caller.ended


@brain([calls("current_time", timezone="Mars/Olympus")], "Mars has no time that I know.")
async def test_the_brain_is_told_of_a_time_zone_that_does_not_exist(caller: Caller) -> None:
    answer = await caller.says("What time is it on Mars?")
    assert answer.tools[0].result == "There is no time zone called Mars/Olympus."
    assert answer.says("Mars has no time")


async def test_a_long_list_is_kept(caller: Caller) -> None:
    for thing in ("milk", "bread", "apples"):
        await caller.says(f"Add {thing} to my list.")
    answer = await caller.says("What is on my list?")
    for thing in ("milk", "bread", "apples"):
        assert answer.says(thing)
