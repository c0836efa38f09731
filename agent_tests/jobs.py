"""Holds many conversations, in several processes at once if need be; the command prints what becomes of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from multiprocessing import get_context
from typing import Any, NamedTuple

from agent_tests.cases import Case, Outcome
from agent_tests.run import Dial, hold
from greenroom.testing.caller import Judge


class Work(NamedTuple):
    """What the processes share: they inherit it, as functions of an author's can't be sent to them."""

    cases: Sequence[Case]
    dial: Dial
    judge: Judge
    runner: asyncio.Runner


_work: list[Work] = []  # of this process, if it is one of several


def usual() -> int:
    """How many processes are used unless a number is given: one for each CPU."""
    return os.cpu_count() or 1


def held(cases: Sequence[Case], dial: Dial, judge: Judge, jobs: int) -> Iterator[Outcome]:
    """Hold all conversations; what became of each, in their order, as soon as it is known.

    Args:
        cases: The conversations.
        dial: Makes the line by which one is held.
        judge: For what can't be looked up by words.
        jobs: The most processes to use; 1: this one alone.
    """
    if min(jobs, len(cases)) == 1:
        with asyncio.Runner() as runner:
            for case in cases:
                yield runner.run(hold(case, dial, judge))
        return
    with ProcessPoolExecutor(min(jobs, len(cases)), get_context("fork"), _begin, (cases, dial, judge)) as pool:
        for case, parts in zip(cases, pool.map(_hold, range(len(cases))), strict=True):
            yield Outcome(case, **parts)


def _begin(cases: Sequence[Case], dial: Dial, judge: Judge) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches every process; one of them has enough to say
    _work.append(Work(cases, dial, judge, asyncio.Runner()))


def _hold(number: int) -> dict[str, Any]:
    """Hold a conversation; all of its outcome but the case itself, which can't be sent."""
    work = _work[0]
    outcome = work.runner.run(hold(work.cases[number], work.dial, work.judge))
    return {field.name: getattr(outcome, field.name) for field in fields(outcome) if field.name != "case"}
