"""What calls came to."""

import json

import pytest

from bench.load.outcome import Outcome, SpokenTurn, as_json, counts, faults, passed, rows

SERVED = Outcome(0.0, session="s", agent=0.4, sound=0.5, attempt=1, agents=1)


def test_calls_with_one_agent_each_pass():
    assert passed([SERVED, SERVED])


@pytest.mark.parametrize(
    "bad",
    [
        Outcome(0.0, session="s", failed="an agent in the room: not within 60 s"),
        Outcome(0.0, session="s", agent=0.4, sound=0.5, attempt=1, failed="cut off (error: lost)"),
        Outcome(0.0, failed="nothing answers"),
        Outcome(0.0, session="s", agent=0.4, sound=0.5, attempt=2, agents=2, overlap=1.5),
    ],
    ids=["no agent ever", "ended by an error", "the request was never answered", "two agents at once"],
)
def test_one_lost_or_doubled_call_fails_the_load_and_is_told(bad):
    assert not passed([SERVED, bad])
    (fault,) = faults([SERVED, bad])
    assert fault.startswith("call 2, ")
    assert counts([SERVED, bad])["lost"] + counts([SERVED, bad])["doubled"] == 1


def test_who_was_refused_was_promised_nothing():
    refused = Outcome(0.0, refused=True, refusals=12, failed="all seats are taken (no_capacity, HTTP 503)")
    assert passed([refused])
    assert counts([refused])["refused for good"] == 1
    assert len(faults([refused])) == 1


def test_a_second_dispatch_that_harmed_nobody_is_counted_but_fails_nothing():
    again = Outcome(0.0, session="s", agent=0.4, sound=0.5, attempt=2, agents=1)
    assert passed([again])
    assert counts([SERVED, again])["needless second dispatches"] == 1


def test_turns_and_facts_are_counted():
    talked = Outcome(
        0.0,
        session="s",
        turns=[SpokenTurn(0.5, wrong=0.1), SpokenTurn(None), SpokenTurn(None, early=True)],
        recalled=False,
    )
    found = counts([talked, SERVED])
    assert (found["turns"], found["turns without an answer"], found["turns answered before their end"]) == (3, 1, 1)
    assert (found["facts asked for"], found["facts not remembered"]) == (1, 1)


def test_figures_are_made_of_what_was_measured_alone():
    talked = Outcome(0.0, session="s", sound=0.7, turns=[SpokenTurn(0.5, wrong=0.25), SpokenTurn(None, early=True)])
    found = {row.name: row.values for row in rows([SERVED, talked])}
    assert found["request → agent in the room with its track"] == [0.4]
    assert found["request → first sound heard"] == [0.5, 0.7]
    assert found["end of speech → answer heard"] == [0.5]
    assert found["words not understood"] == [25.0]


def test_the_file_has_every_call_and_its_verdict():
    (first, second) = as_json([SERVED, Outcome(1.23456, session="s", turns=[SpokenTurn(0.123456)], failed="gone")])
    assert (first["agent"], first["lost"], first["needless"]) == (0.4, False, False)
    assert (second["at"], second["lost"], second["turns"][0]["answer"]) == (1.2346, True, 0.1235)
    json.dumps([first, second])
