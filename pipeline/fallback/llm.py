"""One LLM for a conversation, made of several: leaves the one that fails and asks the next, with nothing said twice.

Pipecat's ServiceSwitcher ignores what an HTTP status says and loses the request that failed; this owns its candidates,
starts the next only when it is needed, and sends the request again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    ControlFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMConfigureOutputFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    LLMUpdateSettingsFrame,
    StartFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.services.llm_service import LLMService
from pipecat.utils.errors import ErrorCategory

from pipeline.fallback.answer import Answer, Fresh, audible, owes_words
from pipeline.fallback.branch import Noticed
from pipeline.fallback.candidates import Candidate, Circuits
from pipeline.fallback.lineup import Lineup
from pipeline.fallback.retries import Retries

logger = logging.getLogger(__name__)

FIRST_SHARE, NEXT_SHARE = 3.5 / 8, 6.5 / 8  # of the patience: until when the first, and the next, must have begun
LEAST_SECONDS = 1.0  # that any of them has
BROKE_OFF_SECONDS = 0.5  # for what was not spoken yet to be taken back; it takes some milliseconds
DOWN = FrameDirection.DOWNSTREAM
PASSED_HERE = (StartFrame, EndFrame, CancelFrame, InterruptionFrame, LLMContextFrame)


@dataclass
class BrokeOffFrame(ControlFrame):
    """An answer broke off: the sentence that is not whole is forgotten, and what was spoken of the answer is told.

    Parameters
    ----------
        spoken: Becomes what has gone to the voice of this answer.
    """

    spoken: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(frozen=True, slots=True)
class Hooks:
    """What an LLM asks of its conversation, and tells it.

    Attributes:
        since: since when (time.monotonic) the caller has heard nothing of its answer.
        words: what of an LLM's text is for the caller.
        answered: an answer has come to its end.
        leaving: whether the agent is about to hang up: then an answer may be silent.
        noticed: told of events for the session's log, with facts that are no words of anybody.
    """

    since: Callable[[], float]
    words: Callable[[str], str]
    answered: Callable[[], None]
    leaving: Callable[[], bool]
    noticed: Noticed


class _Outlet(FrameProcessor):
    """Both neighbours of a candidate: hands on all that it pushes."""

    def __init__(self, came: Callable[[Frame, FrameDirection], Awaitable[None]]) -> None:
        super().__init__(enable_direct_mode=True)
        self._came = came

    async def queue_frame(self, frame: Frame, direction: FrameDirection = DOWN, callback: Any = None) -> None:
        await self._came(frame, direction)


@dataclass(slots=True)
class _Attempt:
    """One request to one candidate.

    Attributes:
        enough: whether an answer without words would do.
        moved: when its last words came.
        closed: it was enough, and the answer's end has been passed on.
    """

    candidate: Candidate[LLMService[Any]]
    fresh: Fresh
    enough: bool
    closed: bool = False
    moved: float | None = None
    text: str = ""
    tools: bool = False
    error: ErrorFrame | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def permanent(self) -> bool:
        """Whether it would fail again for certain."""
        return self.error is not None and self.error.category is not None and self.error.category.is_permanent


class FallbackLLM(FrameProcessor):
    """Stands in the pipeline in the place of an LLM.

    Args:
        candidates: the LLMs, in order. The first one is made at once.
        circuits: which are left alone; told of each failure.
        patience: seconds of silence within which the caller must hear something.
        equip: called with each LLM when it is made, such as to register tools.
        hooks: to the conversation.
        no_answer: said when the LLM twice has nothing to say; empty: nothing is said then.

    Attributes:
        used_up: all have failed: the call can't go on. Said by an ErrorFrame of this processor.
        failed: the name of the provider that failed last.
        permanent: whether that one will fail again for certain.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate[LLMService[Any]]],
        circuits: Circuits,
        *,
        patience: float,
        equip: Callable[[LLMService[Any]], None],
        hooks: Hooks,
        no_answer: str,
    ) -> None:
        super().__init__()
        self._lineup, self._patience = Lineup(candidates, circuits, patience), patience
        self._equip, self._hooks, self._no_answer = equip, hooks, no_answer
        self._made: dict[str, LLMService[Any]] = {}
        self._begun: FrameProcessorSetup | None = None
        self._start: StartFrame | None = None
        self._attempt: _Attempt | None = None
        self._opened = False
        self._empty_answers = 0
        self.used_up, self.failed, self.permanent = False, "", False
        self._make(self._lineup.first(time.monotonic()))

    @property
    def services(self) -> list[LLMService[Any]]:
        """The LLMs that were made so far."""
        return list(self._made.values())

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Set up the LLM that was made."""
        await super().setup(setup)
        self._begun = setup
        for service in self.services:
            await service.setup(setup)

    async def cleanup(self) -> None:
        """Release all that were made."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        for service in self.services:
            await service.cleanup()  # type: ignore[no-untyped-call]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context; pass every other frame on, and to the LLMs what concerns them."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._answer(frame.context)
            return
        if isinstance(frame, StartFrame):
            self._start = frame
        for service in self.services:
            if isinstance(frame, StartFrame | EndFrame | CancelFrame):
                await service.queue_frame(frame, direction)
            elif isinstance(frame, InterruptionFrame):
                await service.process_frame(frame, direction)  # done before those behind hear of it: tools end first
            elif isinstance(frame, LLMUpdateSettingsFrame | LLMConfigureOutputFrame):
                await service.queue_frame(frame, direction)
        await self.push_frame(frame, direction)

    def _make(self, candidate: Candidate[LLMService[Any]]) -> LLMService[Any]:
        service = candidate.make()
        self._equip(service)

        async def came(frame: Frame, direction: FrameDirection) -> None:
            await self._came(candidate, frame, direction)

        outlet = _Outlet(came)
        service.link(outlet)
        outlet.link(service)
        self._made[candidate.key] = service
        return service

    async def _ready(self, candidate: Candidate[LLMService[Any]]) -> LLMService[Any]:
        """The LLM of a candidate, made and started if it wasn't."""
        made = self._made.get(candidate.key)
        if made is None:
            made = self._make(candidate)
            if self._begun is not None and self._start is not None:
                await made.setup(self._begun)
                await made.queue_frame(self._start)
        return made

    async def _answer(self, context: LLMContext) -> None:
        self._opened = False
        self._lineup.give_up()
        answer, retries = Answer(), Retries(self._patience)
        try:
            while True:
                candidate = await self._whom(retries)
                if candidate is None:
                    await self._give_up()
                    return
                attempt = await self._ask(candidate, answer, context)
                if await self._is_over(attempt, answer, retries):
                    return
        finally:
            self._attempt = None
            self._hooks.answered()

    async def _whom(self, retries: Retries) -> Candidate[LLMService[Any]] | None:
        """Who is asked now; after all have failed, the first again after a pause, or nobody."""
        chosen = self._lineup.pick(time.monotonic())
        if chosen is None:
            pause = retries.pause(time.monotonic(), self._hooks.since())
            if pause is None or not self._lineup.again():
                return None
            await asyncio.sleep(pause)
            chosen = self._lineup.pick(time.monotonic())
        return chosen

    async def _ask(self, candidate: Candidate[LLMService[Any]], answer: Answer, context: LLMContext) -> _Attempt:
        """One request; returns when it has been answered, has failed, or takes longer than it may."""
        answer.tries += 1
        asked = time.monotonic()
        attempt = _Attempt(candidate, Fresh(answer.said), bool(answer.said) or not owes_words(context.messages))
        try:
            made = await self._ready(candidate)
        except Exception as error:  # noqa: BLE001 - a provider's own code; the next one may work
            attempt.error = ErrorFrame("it cannot be made", exception=error, category=ErrorCategory.INVALID_REQUEST)
            return attempt
        self._attempt = attempt
        share = FIRST_SHARE if answer.tries == 1 else NEXT_SHARE
        others = self._lineup.has_other(candidate)
        await made.queue_frame(LLMContextFrame(_with_beginning(context, answer)))
        while not attempt.over.is_set():
            rest = self._limit(attempt, asked, share) - time.monotonic() if others else None
            if rest is not None and rest <= 0:
                self._attempt = None
                await made.process_frame(InterruptionFrame(), DOWN)
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await attempt.over.wait()
        self._attempt = None
        return attempt

    def _limit(self, attempt: _Attempt, asked: float, share: float) -> float:
        """Until when another is not asked instead: for the first words, and then for each next one."""
        since = self._hooks.since()
        if attempt.moved is None:
            return max(since + share * self._patience, asked + LEAST_SECONDS)
        return max(since, attempt.moved) + FIRST_SHARE * self._patience

    async def _came(self, candidate: Candidate[LLMService[Any]], frame: Frame, direction: FrameDirection) -> None:
        """An LLM pushes a frame: of the one that is asked now it is passed on, late words of another are dropped."""
        attempt = self._attempt if self._attempt is not None and self._attempt.candidate is candidate else None
        if isinstance(frame, PASSED_HERE):
            return
        if isinstance(frame, LLMFullResponseStartFrame | LLMTextFrame | LLMFullResponseEndFrame):
            if attempt is not None:
                await self._stream(attempt, frame)
            return
        if isinstance(frame, ErrorFrame) and frame.category is not ErrorCategory.APPLICATION:
            if attempt is None:
                logger.warning("event=llm_failed_unasked provider=%s", candidate.name)
            else:
                attempt.error = frame
            return
        if isinstance(frame, FunctionCallsStartedFrame) and attempt is not None:
            attempt.tools = True
        await self.push_frame(frame, direction)

    async def _stream(
        self, attempt: _Attempt, frame: LLMFullResponseStartFrame | LLMTextFrame | LLMFullResponseEndFrame
    ) -> None:
        if isinstance(frame, LLMTextFrame):
            attempt.moved = time.monotonic()
            attempt.text += frame.text
            text = attempt.fresh.feed(frame.text)
            if text:
                await self.push_frame(frame if text == frame.text else LLMTextFrame(text))
        elif isinstance(frame, LLMFullResponseEndFrame):
            if attempt.error is None and self._is_enough(attempt):
                attempt.closed = True
                await self._close(frame)  # at once: tools that it wants begin behind its end
            attempt.over.set()
        elif not self._opened:
            self._opened = True
            await self.push_frame(frame)

    def _is_enough(self, attempt: _Attempt) -> bool:
        """Whether the caller is not left in silence by what came."""
        silent_may_be = attempt.enough or attempt.tools or self._hooks.leaving()
        return silent_may_be or audible(self._hooks.words(attempt.text))

    async def _is_over(self, attempt: _Attempt, answer: Answer, retries: Retries) -> bool:
        """Whether the answer has come to its end, or the next request must follow."""
        if attempt.error is not None or not attempt.over.is_set():
            return await self._has_failed(attempt, answer, retries)
        self._lineup.worked(attempt.candidate, time.monotonic())
        if attempt.closed:
            return True
        again = answer.empty == 0
        answer.empty += 1
        self._empty_answers += 1
        provider = attempt.candidate.name
        self._hooks.noticed("empty_answer", {"provider": provider, "again": again, "count": self._empty_answers})
        await self._take_back()
        if again:
            return False
        if self._no_answer:
            await self.push_frame(LLMTextFrame(self._no_answer))
        await self._close(LLMFullResponseEndFrame())
        return True

    async def _has_failed(self, attempt: _Attempt, answer: Answer, retries: Retries) -> bool:
        """Leave it for others; returns whether the answer must end with what was said of it."""
        error, now = attempt.error, time.monotonic()
        why = "slow" if error is None else error.category.value if error.category is not None else "unknown"
        self.failed, self.permanent = attempt.candidate.name, attempt.permanent
        self._hooks.noticed("llm_failed", {"provider": self.failed, "why": why})
        refused = attempt.permanent and bool(answer.said)  # some take no beginning of an answer: no fault of theirs
        self._lineup.failed(attempt.candidate, now, permanent=attempt.permanent and not refused)
        if attempt.text:
            taken = await self._take_back()
            spoken = attempt.text if taken is None else taken
            if spoken != answer.said:
                answer.said = spoken
                retries.progressed(now)
        if not refused or self._lineup.has_other(attempt.candidate):
            return False
        await self._close(LLMFullResponseEndFrame())
        return True

    async def _take_back(self) -> str | None:
        """Let the voice forget the sentence that is not whole; gives what it has of the answer, None if unknown."""
        frame = BrokeOffFrame()
        await self.push_frame(frame)
        with suppress(TimeoutError):
            async with asyncio.timeout(BROKE_OFF_SECONDS):
                return await frame.spoken
        return None

    async def _give_up(self) -> None:
        self.used_up = True
        await self.push_error("no LLM can be had")
        if self._opened:
            await self._close(LLMFullResponseEndFrame())

    async def _close(self, end: LLMFullResponseEndFrame) -> None:
        self._hooks.answered()
        await self.push_frame(end)


def _with_beginning(context: LLMContext, answer: Answer) -> LLMContext:
    if not answer.said:
        return context
    return LLMContext(answer.beginning(context.messages), tools=context.tools, tool_choice=context.tool_choice)
