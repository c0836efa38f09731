"""Many conversations at once: each in a process, and all of them in their order."""

import asyncio
import os

from agent_tests.cases import Case
from agent_tests.errors import Fault, Unmet
from agent_tests.jobs import held
from agent_tests.judge import NoJudge
from tests.agent_tests.lines import Says

SECONDS = 30.0  # for a process to begin


def case(folder, name, play):
    return Case(name, folder / "a.yaml", 1, "default", play)


def test_one_job_is_this_process(tmp_path):
    async def play(caller):
        raise Unmet([Fault(str(os.getpid()))], 3)

    cases = [case(tmp_path, name, play) for name in ("a", "b")]
    for outcome in held(cases, lambda _: Says("Hello."), NoJudge(), 1):
        assert outcome.faults == (Fault(str(os.getpid())),)


def test_several_are_held_at_once_and_come_in_their_order_with_all_that_was_seen(tmp_path):
    def waiting(own, other):
        async def play(caller):
            (tmp_path / own).touch()
            async with asyncio.timeout(SECONDS):
                while not (tmp_path / other).exists():  # noqa: ASYNC110 - by another process
                    await asyncio.sleep(0.01)
            await caller.says(own)
            await caller.judge("is polite")
            raise Unmet([Fault(own, str(os.getpid()))], 3)

        return play

    cases = [case(tmp_path, "a", waiting("a", "b")), case(tmp_path, "b", waiting("b", "a"))]
    outcomes = list(held(cases, lambda _: Says("Hello."), NoJudge(), 2))
    assert [outcome.case for outcome in outcomes] == cases
    assert [[exchange.caller for exchange in outcome.exchanges] for outcome in outcomes] == [["", "a"], ["", "b"]]
    assert [(outcome.result, outcome.line, outcome.faults[0].expected) for outcome in outcomes] == [
        ("failed", 3, "a"),
        ("failed", 3, "b"),
    ]
    assert len({outcome.faults[0].seen for outcome in outcomes} | {str(os.getpid())}) == 3
    assert not outcomes[0].verdicts[0].asked
