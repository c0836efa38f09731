"""Starts every task of Greenroom's own, so that none fails in silence; all packages start their tasks here.

A failure is logged once, with the exception's type and where it was raised. Its message is left out: a message may
quote what a caller said, or a secret.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

PLACES = 6  # of a traceback that are logged, the innermost first: enough to see who called whom
FIRST_PAUSE = 0.1  # seconds between a failed step and the next try
LONGEST_PAUSE = 5.0  # seconds; the pause doubles up to this with each failure in a row
ROOT = Path(__file__).resolve().parents[1]

Result = TypeVar("Result")


class Policy(StrEnum):
    """What the failure of a task means for its owner."""

    GO_ON = "go_on"  # the owner goes on without the task
    END = "end"  # the owner is told, and ends what it is: the call, or the process


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that ended with an error that nobody expected.

    Attributes:
        owner: whose task it was.
        name: of the task.
        where: the error's type and the places it came through, as `describe` gives them.
        error: what was raised; its message may hold a caller's words.
    """

    owner: str
    name: str
    where: str
    error: BaseException


Observer = Callable[[Failure], None]
_observers: list[Observer] = []
_failed = 0


def failed_so_far() -> int:
    """How many failures there were in this process."""
    return _failed


def on_failure(observer: Observer) -> Callable[[], None]:
    """Call `observer` at each failure in this process; it must not raise. Gives what takes it off again."""
    _observers.append(observer)
    return lambda: _observers.remove(observer)


def describe(error: BaseException) -> str:
    """The error's type and where it was raised: `ValueError at agents/pizza.py:12 < pipeline/agents/tools.py:80`.

    Never the error's message: it may quote what a caller said.
    """
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    places = " < ".join(f"{_short(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places or 'an unknown place'}"


def report(owner: str, name: str, error: BaseException) -> Failure:
    """Log an unexpected error once and count it; for those who catch one at the boundary of a process or a task.

    Args:
        owner: whose code failed.
        name: of the task or step.
        error: what was raised.
    """
    global _failed
    _failed += 1
    failure = Failure(owner, name, describe(error), error)
    logger.error("event=task_failed owner=%s task=%s error=%s", owner, name, failure.where)
    for observer in tuple(_observers):
        observer(failure)
    return failure


class Finished(Exception):
    """Raised by a step of `keep_going`: there is nothing more to do."""


class Background:
    """The tasks of one owner: a call, a worker, a dispatcher.

    Args:
        owner: named in the log.
        on_end: called with the failure of a task whose policy is END.
    """

    def __init__(self, owner: str, *, on_end: Callable[[Failure], None] | None = None) -> None:
        self._owner, self._on_end = owner, on_end
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(
        self, run: Coroutine[Any, Any, Result], name: str, *, policy: Policy = Policy.GO_ON
    ) -> asyncio.Task[Result]:
        """Start a task and hold it until it is done.

        Args:
            run: what it does.
            name: of the task, for the log.
            policy: what its failure means.
        """
        task = asyncio.create_task(run, name=name)
        self._tasks.add(task)

        def done(ended: asyncio.Task[Result]) -> None:
            self._tasks.discard(ended)
            error = None if ended.cancelled() else ended.exception()
            if error is not None:
                failure = report(self._owner, name, error)
                if policy is Policy.END and self._on_end is not None:
                    self._on_end(failure)

        task.add_done_callback(done)
        return task

    def cancel(self) -> None:
        """Cancel all tasks without waiting for them; a task that is cancelled has not failed."""
        for task in tuple(self._tasks):
            task.cancel()

    async def settled(self) -> None:
        """Return when every task that runs now is done, whatever became of it."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self, *, seconds: float | None = None) -> None:
        """Cancel all tasks and wait until they have ended.

        Args:
            seconds: the longest wait; None: as long as it takes. A task that has not ended by then is logged.
        """
        self.cancel()
        left = self._tasks - {asyncio.current_task()}
        if left:
            _, stuck = await asyncio.wait(left, timeout=seconds)
            for task in stuck:
                logger.error("event=task_stuck owner=%s task=%s", self._owner, task.get_name())


async def keep_going(
    step: Callable[[], Awaitable[object]],
    name: str,
    *,
    owner: str = "process",
    pause: float = 0.0,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Repeat `step` until it raises Finished. An unexpected error is logged and counted; the next try waits.

    Args:
        step: done again and again.
        name: of the step, for the log.
        owner: whose step it is.
        pause: seconds between two steps that went well.
        sleep: waits so many seconds.
    """
    failures = 0
    while True:
        try:
            await step()
        except Finished:
            return
        except Exception as error:  # noqa: BLE001 - the loop is the task's boundary: it must outlive every step
            report(owner, name, error)
            failures += 1
            await sleep(backoff(failures))
        else:
            failures = 0
            await sleep(pause)


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16)))


def _short(filename: str) -> str:
    """The file as the log names it: from the repository's root, or from the folder of the installed packages."""
    path = Path(filename)
    for base in (ROOT, *(parent for parent in path.parents if parent.name == "site-packages")):
        if path.is_relative_to(base):
            return str(path.relative_to(base)).removeprefix(".venv/")
    return "/".join(path.parts[-2:])
