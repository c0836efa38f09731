"""What a run looks like."""

from pathlib import Path

from agent_tests.cases import Case, Outcome
from agent_tests.errors import Fault
from agent_tests.report import Paint, lines, summary, talk
from greenroom.testing.caller import Verdict
from greenroom.testing.exchange import Exchange, ToolCall


async def nothing(_):
    pass


CASE = Case("tells the time", Path("a.yaml"), 3, "default", nothing)
PLAIN = Paint(False)
FAILED = Outcome(
    CASE,
    "failed",
    0.5,
    exchanges=(
        Exchange("", "Hello.", seconds=0.1),
        Exchange("Time?", "", (ToolCall("clock", {}, "noon"),), ended="finished", seconds=0.25, heard="Thyme?"),
    ),
    faults=(Fault("said: “noon”", "the agent said nothing"),),
    line=7,
)


def test_a_failure_shows_what_was_expected_and_what_was_said():
    assert [line.rstrip() for line in lines(FAILED, PLAIN)][1:] == [
        "      a.yaml:7",
        "      - said: “noon”",
        "      + the agent said nothing",
        "        agent   Hello.  [0.10 s]",
        "        caller  Time? (heard as: Thyme?)",
        "        tool    clock → noon",
        "        agent   (nothing)  [0.25 s]",
        "                the call ended as finished",
    ]


def test_what_the_caller_said_over_the_answer_is_shown_with_what_was_answered():
    first, *_ = talk(Exchange("Bye.", "Good", heard="Bye. Wait!", interrupts="Wait!"))
    assert first == "caller  Bye. … over the answer: Wait!"


def test_a_conversation_that_passed_is_one_line():
    (line,) = lines(Outcome(CASE, "passed", 0.5, exchanges=FAILED.exchanges), PLAIN)
    assert line.split() == ["✓", "tells", "the", "time", "0.50", "s"]


def test_a_skipped_one_says_why():
    _, why = lines(Outcome(CASE, "skipped", 0.0, faults=(Fault("in text only"),)), PLAIN)
    assert why.strip() == "in text only"


def test_the_summary_counts_results_and_what_was_not_judged():
    unasked = Outcome(CASE, "passed", 0.1, verdicts=(Verdict("is polite", True, "set KEY", asked=False),))
    assert list(summary([FAILED, unasked, unasked], 1.0, PLAIN)) == [
        "2 not judged: set KEY",
        "2 passed, 1 failed in 1.00 s",
    ]


def test_colours_are_left_out_where_nobody_sees_them():
    assert Paint(True)("a", "31") == "\x1b[31ma\x1b[0m"
    assert Paint(False)("a", "31") == "a"
