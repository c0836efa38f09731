"""Holds one conversation after the other, and says what became of each; the command prints it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent_tests.cases import Case, Outcome, Result
from agent_tests.errors import Fault, Unmet
from greenroom.testing.caller import Caller, Judge, Line, Unfinished
from greenroom.testing.watching import said_of
from pipeline.errors import PipelineError, line_in

Dial = Callable[[Case], AbstractAsyncContextManager[Line]]


class Unsuitable(Exception):
    """A conversation can't be held in this way; it is skipped. The message says why."""


async def hold(case: Case, dial: Dial, judge: Judge) -> Outcome:
    """Hold one conversation.

    Args:
        case: The conversation.
        dial: Makes the line by which it is held.
        judge: For what can't be looked up by words.
    """
    began = time.monotonic()
    caller: Caller | None = None
    result: Result
    at: int | None = None
    try:
        async with dial(case) as line:
            caller = Caller(line, judge)
            await caller.begin()
            await case.play(caller)
    except Unsuitable as why:
        return Outcome(case, "skipped", time.monotonic() - began, faults=(Fault(str(why)),))
    except Unmet as unmet:
        result, faults, at = "failed", unmet.faults, unmet.line
    except Unfinished as error:
        result, faults = "failed", (Fault(str(error)),)
    except PipelineError as error:
        result, faults = "error", (Fault(str(error)),)
    except Exception as error:  # noqa: BLE001 - an author's code ends here; the other conversations are still held
        result, faults, at = "error", (Fault(said_of(error)),), line_in(case.path, error)
    else:
        result, faults = "passed", ()
    exchanges, verdicts = (tuple(caller.exchanges), tuple(caller.verdicts)) if caller is not None else ((), ())
    return Outcome(case, result, time.monotonic() - began, exchanges, verdicts, faults, at)
