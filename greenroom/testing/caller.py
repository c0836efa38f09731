"""The caller in an author's conversation, by whichever line it is held; all forms of tests speak by it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from greenroom.testing.exchange import Exchange


class Line(Protocol):
    """How a conversation is held: in text, or in a real room."""

    async def begin(self) -> Exchange:
        """Let the agent begin; returns when it waits for the caller."""

    async def say(self, words: str, interrupts: str = "") -> Exchange:
        """Say these words, and over the answer `interrupts` if it isn't empty.

        Returns when the agent waits for the caller again, or the call has ended.
        """


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge said of a conversation; true when it holds.

    Attributes:
        criterion: What was asked.
        holds: Whether it does. Where no judge was asked it counts as holding.
        reason: In the judge's words.
        asked: Whether there was a judge.
    """

    criterion: str
    holds: bool
    reason: str
    asked: bool = True

    def __bool__(self) -> bool:
        return self.holds


class Judge(Protocol):
    """Decides what can't be looked up by words."""

    async def judge(self, criterion: str, exchanges: Sequence[Exchange]) -> Verdict:
        """Whether the agent's part of a conversation fulfils a criterion."""


class Unfinished(Exception):
    """An exchange did not come to its end.

    Args:
        why: As a sentence.
        exchange: As far as it came.
    """

    def __init__(self, why: str, exchange: Exchange) -> None:
        super().__init__(why)
        self.exchange = exchange


class CallEnded(Exception):
    """The caller wanted to speak, but the call had ended.

    Args:
        words: What the caller wanted to say.
        ended: Why the call had ended.
    """

    def __init__(self, words: str, ended: str) -> None:
        super().__init__(f"the caller could not say {words!r}: the call had ended ({ended})")


class Caller:
    """A caller in a conversation that has begun.

    Args:
        line: By which it is held.
        judge: Asked by `judge`.

    Attributes:
        exchanges: All so far; the first is what the agent said before the caller spoke.
        verdicts: Those of the judge.
    """

    def __init__(self, line: Line, judge: Judge) -> None:
        self._line, self._judge = line, judge
        self.exchanges: list[Exchange] = []
        self.verdicts: list[Verdict] = []

    async def begin(self) -> Exchange:
        """Let the agent greet; the test runner does it before a test."""
        return await self._kept(self._line.begin())

    @property
    def greeting(self) -> str:
        """What the agent said before the caller spoke."""
        return self.exchanges[0].said

    @property
    def ended(self) -> str:
        """Why the call has ended, as its record would say it; empty while it goes on."""
        return self.exchanges[-1].ended

    async def says(self, words: str, *, interrupts: str = "") -> Exchange:
        """Say something, and hear the agent out.

        Args:
            words: What the caller says.
            interrupts: What the caller says over the answer: in text when half of its first sentence has been said, or
                a tool has run for a second.

        Returns:
            What the agent did until it waited for the caller again.

        Raises:
            CallEnded: There is nobody to say it to.
            Unfinished: The agent didn't come to its end.
        """
        if self.ended:
            raise CallEnded(words, self.ended)
        return await self._kept(self._line.say(words, interrupts))

    async def _kept(self, coming: Awaitable[Exchange]) -> Exchange:
        try:
            self.exchanges.append(await coming)
        except Unfinished as unfinished:
            self.exchanges.append(unfinished.exchange)
            raise
        return self.exchanges[-1]

    async def judge(self, criterion: str) -> Verdict:
        """Ask a model whether the agent's part of the conversation so far fulfils a criterion.

        Args:
            criterion: In plain words, such as "is polite".
        """
        self.verdicts.append(await self._judge.judge(criterion, self.exchanges))
        return self.verdicts[-1]
