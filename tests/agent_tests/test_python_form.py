"""Conversations in Python: how they are found, run and reported."""

import pytest

from agent_tests.errors import TestFileError
from agent_tests.judge import NoJudge
from agent_tests.python_form import read
from agent_tests.run import hold
from greenroom.testing.script import ToolRequest
from tests.agent_tests.lines import Says

GOOD = """
from greenroom.testing import Caller, agent, brain, calls, tools

AGENT = "pizza"

def helper(): ...

@brain("Hello.", ["One. ", calls("price", count=3)])
@tools(price=9)
async def test_sells_a_pizza(caller: Caller) -> None:
    answer = await caller.says("Hi")
    assert answer.says("Hello"), "impolite"
    assert (
        answer.called("price")
    )

@agent("other")
async def test_second(caller): ...
"""


def written(folder, text):
    path = folder / "test_a.py"
    path.write_text(text, "utf-8")
    return path


def test_tests_are_found_with_their_marks_in_the_order_of_the_file(tmp_path):
    first, second = read(written(tmp_path, GOOD), "default")
    assert (first.name, first.agent, first.tools) == ("sells a pizza", "pizza", {"price": 9})
    assert first.brain == (("Hello.",), ("One. ", ToolRequest("price", {"count": 3})))
    assert (second.name, second.agent, second.brain) == ("second", "other", None)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("said", "line", "fault"),
    [("Bye", 12, ('assert answer.says("Hello"), "impolite"', "impolite")),
     ("Hello", 13, ('assert ( answer.called("price") )', ""))],
)  # fmt: skip
async def test_an_assertion_that_fails_is_shown_as_it_is_written(tmp_path, said, line, fault):
    case, _ = read(written(tmp_path, GOOD), "default")
    outcome = await hold(case, lambda _: Says(said), NoJudge())
    assert (outcome.result, outcome.line, outcome.faults) == ("failed", line, (fault,))
    assert [exchange.caller for exchange in outcome.exchanges] == ["", "Hi"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("ends", "result"), [("1 / 0", "error"), ("await caller.says('and')", "failed")], ids=["its own", "the call's"]
)
async def test_what_breaks_a_test_off_is_said_with_its_line(tmp_path, ends, result):
    (case,) = read(written(tmp_path, f"async def test_a(caller):\n    await caller.says('Hi')\n    {ends}"), "default")
    outcome = await hold(case, lambda _: Says("Bye", ended="finished" if result == "failed" else ""), NoJudge())
    assert (outcome.result, outcome.line) == (result, 3)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("asked", "line", "told"),
    [('caller.says("Hi")', 2, "'Caller.says'"),
     ('assert caller.judge("is polite")', 2, "'Caller.judge'"),
     ('answer = caller.says("Hi")', None, "'Caller.says'")],
)  # fmt: skip
async def test_a_missing_await_is_no_success(tmp_path, asked, line, told):
    (case,) = read(written(tmp_path, f"async def test_a(caller):\n    {asked}"), "default")
    outcome = await hold(case, lambda _: Says("Hello"), NoJudge())
    assert (outcome.result, outcome.line) == ("failed", line)
    assert outcome.faults == (("an await is missing", f"coroutine {told} was never awaited"),)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("def test_a(caller): ...", 1, "test_a is not an async function"),
        ("\nasync def test_a(): ...", 2, "must take the caller alone"),
        ("async def test_a(caller, more): ...", 1, "must take the caller alone"),
        ("x = (", 1, "is not valid Python"),
        ("import os\nraise ValueError('no')", 2, "failed while it was imported: ValueError: no"),
        ("import not_there_at_all", 1, "failed while it was imported: ModuleNotFoundError"),
        ("AGENT = 3", None, "AGENT must be the name of an agent"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, line, told):
    path = written(tmp_path, text)
    with pytest.raises(TestFileError) as caught:
        read(path, "default")
    assert str(caught.value).startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert told in str(caught.value)
