"""One call of a load, from the request to the hang-up, as a caller lives it; judges nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from bench.harness.overlap import Seen, publishing, watch
from bench.harness.turn import take_turn
from bench.load.lines import Fact, Lines, Phrase, Plan, error_rate
from bench.load.outcome import Outcome, SpokenTurn
from client.api import ControlError, Refused
from client.caller import Caller, CallError, TookTooLong
from client.transcript import contains

AGENT_SECONDS = 60.0
GREETING_SECONDS = 20.0
QUIET_SECONDS = 1.0  # between an answer and what is said next, as people leave it
SPOKEN_SECONDS = 30.0  # an agent that talks longer than this doesn't stop at all
TEXT_SECONDS = 2.0  # for the words, which come apart from the sound
ASKING_SECONDS = 60.0  # how long a caller who is told to try again goes on asking
CALL_SECONDS = 300.0


async def place(caller: Caller, plan: Plan, lines: Lines) -> Outcome:
    """Place the call of `plan` now; what became of it. The caller is used up."""
    outcome = Outcome(plan.at)
    seen = Seen()
    watch(caller.room, seen)
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await _start(caller, outcome)
            await _greeted(caller, outcome, seen)
            if plan.fact is not None:
                await _talk(caller, outcome, lines.facts[plan.fact], [lines.sentences[each] for each in plan.sentences])
    except (CallError, ControlError) as error:
        outcome.failed = str(error)
        outcome.refused = isinstance(error, Refused) and outcome.session is None
    except TimeoutError:
        outcome.failed = f"not over after {CALL_SECONDS:g} s"
    finally:
        seen.look((), time.monotonic())
        outcome.agents, outcome.overlap = len(seen.identities), seen.overlap
        await _end(caller, outcome)
    return outcome


async def _start(caller: Caller, outcome: Outcome) -> None:
    """Ask for a session until one is given, as often as the API says that it may be tried again."""
    deadline = time.monotonic() + ASKING_SECONDS
    while True:
        try:
            started = await caller.start()
        except Refused as refused:
            if refused.retry_after is None or time.monotonic() + refused.retry_after > deadline:
                raise
            outcome.refusals += 1
            await asyncio.sleep(refused.retry_after)
            continue
        outcome.session, outcome.queued = started.session, started.status == "queued"
        outcome.answered = caller.answered_at - caller.asked_at
        return


async def _greeted(caller: Caller, outcome: Outcome, seen: Seen) -> None:
    """Join and wait for the agent and its first sound."""
    await caller.join()
    outcome.joined = caller.joined_at - caller.asked_at
    seen.look(publishing(caller.room), time.monotonic())  # those who were there before us
    outcome.agent = await caller.wait_for_agent(AGENT_SECONDS) - caller.asked_at
    outcome.sound = await caller.wait_for_sound(caller.asked_at, GREETING_SECONDS) - caller.asked_at


async def _talk(caller: Caller, outcome: Outcome, fact: Fact, sentences: list[Phrase]) -> None:
    """Tell the fact, say the sentences, ask for the fact."""
    for line in (fact.tell, *sentences):
        await _say(caller, outcome, line)
    asked = time.monotonic()
    await _say(caller, outcome, fact.ask)
    await caller.wait_for_quiet(QUIET_SECONDS, SPOKEN_SECONDS)
    outcome.recalled = await _comes(caller, lambda: contains(caller.transcript.said("agent", since=asked), fact.answer))


async def _say(caller: Caller, outcome: Outcome, line: Phrase) -> None:
    """Say something when the agent has finished, and note how it was answered and understood."""
    await caller.wait_for_quiet(QUIET_SECONDS, SPOKEN_SECONDS)
    turn = await take_turn(caller, line.sound)
    state = caller.state if turn.answer is None else None
    since = turn.said.began
    await _comes(caller, lambda: bool(caller.transcript.said("user", since=since)))
    wrong = error_rate(line.words, caller.transcript.said("user", since=since))
    outcome.turns.append(SpokenTurn(turn.answer, turn.early, wrong, state))


async def _comes(caller: Caller, condition: Callable[[], bool]) -> bool:
    """Whether it comes true before the words are late."""
    try:
        return await caller.wait_for(condition, "words", TEXT_SECONDS)
    except TookTooLong:
        return False


async def _end(caller: Caller, outcome: Outcome) -> None:
    """Ask what the API knows of the call, end it, leave."""
    if outcome.session is not None:
        try:
            known = await caller.control.session(outcome.session)
            outcome.attempt = int(known["attempt"])
            if known["status"] in ("error", "ended"):
                reason = known["endReason"] or known["error"]
                outcome.failed = f"{outcome.failed or 'cut off'} ({known['status']}: {reason})"
        except (ControlError, KeyError) as error:
            outcome.failed = outcome.failed or f"the API knows nothing of it: {error}"
        with contextlib.suppress(ControlError):  # a call that can't be ended ends by itself, and was judged before
            await caller.stop()
    await caller.leave()
