"""A tool that a test watches."""

import pytest

from greenroom.testing.watching import NoSuchTool, check_names, watched
from pipeline.agents.tools import describe

pytestmark = pytest.mark.anyio


async def price(pizza: str, count: int = 1) -> str:
    """Look up a price.

    Args:
        pizza: Its name.
        count: How many.
    """
    return f"{count} {pizza}"


def notes():
    kept = []
    return kept, lambda *note: kept.append(note)


async def test_it_looks_like_the_tool_itself():
    seen = watched(price, lambda: (False, None), lambda *_: None)
    assert describe(seen).properties == describe(price).properties
    assert describe(seen).description == describe(price).description


async def test_it_runs_the_tool_or_gives_what_the_test_answers():
    kept, note = notes()
    assert await watched(price, lambda: (False, None), note)(pizza="salami", count=2) == "2 salami"
    assert await watched(price, lambda: (True, "nothing"), note)(pizza="salami", count=2) == "nothing"
    assert await watched(price, lambda: (True, lambda pizza, count: pizza), note)(pizza="funghi", count=2) == "funghi"
    assert [result for _, result, _ in kept] == ["2 salami", "nothing", "funghi"]


async def test_an_error_is_told_with_its_place_and_goes_on():
    async def broken(pizza: str) -> str:
        raise KeyError(pizza)

    kept, note = notes()
    with pytest.raises(KeyError):
        await watched(broken, lambda: (False, None), note)(pizza="x")
    (_, _, error), *_ = kept
    assert error.startswith("KeyError: 'x' at ")
    assert "test_watching.py:" in error


def test_an_answer_for_a_tool_that_there_is_not_names_those_there_are():
    with pytest.raises(NoSuchTool, match=r"agent 'a' has no tool 'prise'; its tools: price"):
        check_names({"prise": 1}, {"price": price}, "a")
