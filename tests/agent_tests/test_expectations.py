"""How an exchange differs from what is expected."""

import pytest

from agent_tests.expectations import Expected, faults, shown
from greenroom.testing.exchange import Exchange, ToolCall

SEEN = Exchange("Hi", "It is noon.", (ToolCall("clock", {"zone": "UTC"}),), ended="finished", seconds=2.0)


@pytest.mark.parametrize(
    "expected",
    [
        Expected(),
        Expected(said=("noon", "it is"), not_said=("midnight",), matches="^it"),
        Expected(called=(("clock", {}), ("clock", {"zone": "UTC"})), not_called=("alarm",)),
        Expected(ended=True, within=2.5),
        Expected(ended="finished"),
    ],
)
def test_what_happened_as_expected_has_no_faults(expected):
    assert faults(expected, SEEN) == []


@pytest.mark.parametrize(
    ("expected", "told", "seen"),
    [
        (Expected(said=("midnight",)), "said: “midnight”", "the agent said “It is noon.”"),
        (Expected(not_said=("noon",)), "not said: “noon”", "the agent said “It is noon.”"),
        (Expected(matches="^noon"), "words that match ^noon", "the agent said “It is noon.”"),
        (Expected(called=(("clock", {"zone": "CET"}),)), 'called: clock(zone="CET")', 'called was clock(zone="UTC")'),
        (Expected(not_called=("clock",)), "not called: clock", 'called was clock(zone="UTC")'),
        (Expected(ended=False), "ended: false", "the call ended as finished"),
        (Expected(ended="stopped"), "ended: stopped", "the call ended as finished"),
        (Expected(within=1.0), "within: 1 s", "it took 2.00 s"),
    ],
)
def test_each_difference_says_what_was_expected_and_what_was_seen(expected, told, seen):
    assert faults(expected, SEEN) == [(told, seen)]


def test_an_agent_that_does_nothing_is_said_so():
    nothing = Exchange("Hi")
    (said, called, ended) = faults(Expected(said=("x",), called=(("clock", {}),), ended=True), nothing)
    assert (said.seen, called.seen, ended.seen) == ("the agent said nothing", "no tool was called", "the call goes on")


def test_a_call_is_shown_as_authors_write_it():
    assert shown("price", {"pizza": "salami", "count": 3}) == 'price(pizza="salami", count=3)'
    assert shown("end_call", {}) == "end_call"
