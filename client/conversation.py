"""One call from its start to its end: greeting, what the caller says, the answers to it, measured; prints nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from client.caller import Caller, TookTooLong
from client.transcript import contains
from client.wav import Sound

AGENT_SECONDS = 30.0  # for an agent to come when none was warm and the machine is busy
GREETING_SECONDS = 10.0
ANSWER_SECONDS = (
    15.0  # a turn that sounds unfinished waits up to 5 s for the caller to go on, then come brain and voice
)
TURN_SECONDS = 90.0  # an agent that talks longer than this doesn't stop at all
QUIET_SECONDS = 1.2  # silence that means that the agent has finished: longer than its pause between two sentences
TEXT_SECONDS = 2.0  # for the last of the transcript, which comes apart from the sound


@dataclass
class CallReport:
    """How a call went.

    Attributes:
        joined, agent, greeting: Milliseconds from the request until the caller was in the room, an agent with its track
            was seen, and its first sound was heard.
        answers: Milliseconds from the end of each thing said to the first sound of the answer.
        failed: What didn't happen in time; None when all did.
    """

    joined: float | None = None
    agent: float | None = None
    greeting: float | None = None
    answers: list[float] = field(default_factory=list)
    failed: str | None = None


async def hold(
    caller: Caller,
    sounds: Sequence[Sound],
    texts: Sequence[str],
    report: CallReport,
    *,
    answer_seconds: float = ANSWER_SECONDS,
) -> None:
    """Join, hear the greeting, say every sound and write every text, wait for the answer to each; fill in `report`.

    An answer may take `answer_seconds`. The session must be started. Raises NotJoined when there is no room to be in.
    """
    await caller.join()
    report.joined = _ms(caller.joined_at - caller.asked_at)
    try:
        report.agent = _ms(await caller.wait_for_agent(AGENT_SECONDS) - caller.asked_at)
        report.greeting = _ms(await caller.wait_for_sound(caller.asked_at, GREETING_SECONDS) - caller.asked_at)
        await caller.wait_for_quiet(QUIET_SECONDS, TURN_SECONDS)
        for sound in sounds:
            said = await caller.speak(sound)
            await _answered(caller, said.ended, report, answer_seconds)
        for text in texts:
            written = time.monotonic()
            await caller.write(text)
            await _answered(caller, written, report, answer_seconds)
    except TookTooLong as error:
        report.failed = str(error)


async def _answered(caller: Caller, since: float, report: CallReport, timeout: float) -> None:
    """Wait for the answer to what ended at `since`, and for its end."""
    heard = await caller.wait_for_sound(since, timeout)
    report.answers.append(_ms(heard - since))
    await caller.wait_for_quiet(QUIET_SECONDS, TURN_SECONDS)


def expected(said: str, every: Sequence[str], any_of: Sequence[str] = ()) -> str | None:
    """What is missing in `said`, in words, or None: all of `every` must be in it and, if given, one of `any_of`."""
    missing = [word for word in every if not contains(said, word)]
    if missing:
        return "the agent didn't say " + ", ".join(f"“{word}”" for word in missing)
    if any_of and not any(contains(said, word) for word in any_of):
        return "the agent said none of " + ", ".join(f"“{word}”" for word in any_of)
    return None


async def missing(caller: Caller, every: Sequence[str], any_of: Sequence[str] = ()) -> str | None:
    """`expected` of what the agent said, after giving the transcript time to arrive."""
    try:
        await caller.wait_for(
            lambda: expected(caller.transcript.said("agent"), every, any_of) is None, "", TEXT_SECONDS
        )
    except TookTooLong:
        return expected(caller.transcript.said("agent"), every, any_of)
    return None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
