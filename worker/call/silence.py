"""Whether the caller has been silent for too long: asks once, then ends the call; call.py makes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from pipeline.talk.turn_observer import Activity
from runtime.background import Finished

LOOK_SECONDS = 1.0  # between two looks at whether a tool runs


class Verdict(StrEnum):
    """What a silence leads to."""

    ASK = "ask"
    END = "end"


class CallerSilence:
    """How long nobody has said anything, by pure rules. Times are seconds of one clock.

    Words count, typed ones and keys too, and what the agent says. A sound without words doesn't end a silence: there
    is always some where a page was forgotten. While one lasts, nothing is decided.

    Args:
        ask: seconds of silence after which the caller is asked, once; None: never.
        end: seconds after which the call ends; None: never.
    """

    def __init__(self, ask: float | None, end: float | None) -> None:
        self._ask, self._end = ask, end
        self._since: float | None = None
        self._asked = False
        self._sounds: set[Activity] = set()

    @property
    def matters(self) -> bool:
        """Whether silence leads to anything."""
        return self._ask is not None or self._end is not None

    def words(self, now: float) -> None:
        """The caller has said or typed something, or has come."""
        self._since, self._asked = now, False

    def away(self) -> None:
        """The caller is not there."""
        self._since = None

    def working(self, now: float) -> None:
        """A tool runs."""
        self._restart(now)

    def activity(self, what: Activity, now: float) -> None:
        """Caller or agent starts or stops something."""
        if what in (Activity.USER_STARTED, Activity.AGENT_STARTED):
            self._sounds.add(what)
        elif what is Activity.USER_STOPPED:
            self._sounds.discard(Activity.USER_STARTED)
        elif what is Activity.AGENT_STOPPED:
            self._sounds.discard(Activity.AGENT_STARTED)
            self._restart(now)

    def verdict(self, now: float) -> Verdict | None:
        """What is due at `now`; the question is due once."""
        if self._since is None or self._sounds:
            return None
        silent = now - self._since
        if self._end is not None and silent >= self._end:
            return Verdict.END
        if self._ask is None or self._asked or silent < self._ask:
            return None
        self._asked = True
        return Verdict.ASK

    def pause(self, now: float) -> float:
        """Seconds until the next look: LOOK_SECONDS, less where something is due before."""
        waits = [] if self._since is None or self._sounds else [self._ask if not self._asked else None, self._end]
        due = [self._since + wait - now for wait in waits if wait is not None and self._since is not None]
        return max(0.0, min([LOOK_SECONDS, *due]))

    def _restart(self, now: float) -> None:
        """What the agent says or does after it has asked is no sign of the caller."""
        if self._since is not None and not self._asked:
            self._since = now


class Talk(Protocol):
    """As much of a conversation as is needed."""

    def tools_run(self) -> bool:
        """Whether a tool is at work."""

    async def ask_if_there(self) -> None:
        """Ask the caller whether it is still there."""


class SilenceWatch:
    """Looks at a conversation's silence, again and again.

    Args:
        silence: of the caller.
        talk: the conversation.
        end: called once the silence has lasted too long.
    """

    def __init__(self, silence: CallerSilence, talk: Talk, end: Callable[[], None]) -> None:
        self._silence, self._talk, self._end = silence, talk, end

    async def step(self) -> None:
        """Do what is due, and wait for the next look. Raises Finished once there is nothing more to do."""
        if not self._silence.matters:
            raise Finished
        now = time.monotonic()
        if self._talk.tools_run():
            self._silence.working(now)
        match self._silence.verdict(now):
            case Verdict.END:
                self._end()
                raise Finished
            case Verdict.ASK:
                await self._talk.ask_if_there()
        await asyncio.sleep(self._silence.pause(time.monotonic()))
