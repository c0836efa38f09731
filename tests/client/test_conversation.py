"""Calls that go wrong, and what counts as an answer; a good call is tested with the command that places it."""

import numpy as np
import pytest

from client.caller import Caller
from client.conversation import CallReport, expected, hold
from client.wav import Sound
from tests.support.standin import standing_in

pytestmark = pytest.mark.anyio


def speech():
    at = np.arange(16000 // 2)
    return Sound(np.rint(5000 * np.sin(2 * np.pi * 300 * at / 16000)).astype(np.int16), 16000)


async def test_an_agent_that_does_not_answer_fails_the_call(livekit_url):
    report = CallReport()
    async with standing_in(livekit_url, answers=False) as standin, Caller(standin.url) as caller:
        await caller.start()
        await hold(caller, [speech()], [], report, answer_seconds=0.8)
        assert report.failed == "sound from the agent: not within 0.8 s"
        assert report.answers == []
        assert report.greeting is not None


def test_all_of_some_and_one_of_others_are_expected():
    assert expected("Hello Alice, it is 42.", ["alice", "42"]) is None
    assert expected("Hello Alice.", ["alice", "42", "bob"]) == "the agent didn't say “42”, “bob”"
    assert expected("Hello.", [], ["alice", "42"]) == "the agent said none of “alice”, “42”"
    assert expected("", []) is None
