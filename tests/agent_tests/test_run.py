"""What becomes of a conversation."""

from pathlib import Path

import pytest

from agent_tests.cases import Case
from agent_tests.errors import Fault, Unmet
from agent_tests.judge import NoJudge
from agent_tests.run import Unsuitable, hold
from greenroom.testing.caller import Unfinished
from greenroom.testing.exchange import Exchange
from pipeline.errors import MissingKey
from tests.agent_tests.lines import Says

pytestmark = pytest.mark.anyio


def case(play):
    return Case("a", Path("a.yaml"), 3, "default", play)


async def greeted(caller):
    assert caller.greeting == "Hello"


async def test_it_passes_when_nothing_is_raised():
    outcome = await hold(case(greeted), lambda _: Says("Hello"), NoJudge())
    assert (outcome.result, outcome.faults) == ("passed", ())
    assert outcome.exchanges == (Exchange("", "Hello"),)


async def test_it_fails_with_the_line_of_what_was_not_met():
    async def play(_):
        raise Unmet([Fault("said: “Bye”", "nothing")], 7)

    outcome = await hold(case(play), lambda _: Says("Hello"), NoJudge())
    assert (outcome.result, outcome.line, outcome.faults) == ("failed", 7, (("said: “Bye”", "nothing"),))


async def test_what_was_said_until_it_stuck_is_kept():
    class Stuck(Says):
        async def say(self, words, interrupts=""):
            raise Unfinished("not done", Exchange(words, "Well"))

    async def play(caller):
        await caller.says("Hi")

    outcome = await hold(case(play), lambda _: Stuck("Hello"), NoJudge())
    assert (outcome.result, outcome.faults) == ("failed", (("not done", ""),))
    assert outcome.exchanges[-1] == Exchange("Hi", "Well")


async def test_an_authors_own_error_is_no_failure_of_the_agent():
    async def play(_):
        raise ZeroDivisionError("division by zero")

    outcome = await hold(case(play), lambda _: Says("Hello"), NoJudge())
    assert outcome.result == "error"
    assert outcome.faults[0].expected.startswith("ZeroDivisionError: division by zero at ")


@pytest.mark.parametrize(
    ("error", "result"), [(MissingKey("llm", "groq", "GROQ_API_KEY"), "error"), (Unsuitable("in text only"), "skipped")]
)
async def test_a_conversation_that_cannot_be_held_says_why(error, result):
    def dial(_):
        raise error

    outcome = await hold(case(greeted), dial, NoJudge())
    assert (outcome.result, outcome.faults) == (result, ((str(error), ""),))
