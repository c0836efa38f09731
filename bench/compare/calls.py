"""Calls that are measured: latencies, bursts, memory and processor time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.compare.designs import Design
from bench.harness.processes import CpuMeter, memory
from bench.harness.turn import ANSWER_SECONDS, take_turn
from bench.report.stats import Figure
from client.api import Control, ControlError
from client.caller import Caller, CallError, TookTooLong
from client.wav import Sound
from runtime.background import Background

READY_TRIES = 100  # 50 ms apart
AGENT_SECONDS = 180.0  # ten processes that load at once took 38 s on two cores, and 90 s on busy ones
GREETING_SECONDS = 20.0
QUIET_SECONDS = 1.0  # between an answer and what is said next, as people leave it
TURNS = 2  # a round: different speech each, and the second with a conversation before it
LONG_REQUEST = "Remember that the parcel stands behind the green door in the old garden, beside the blue gate."
"""Written, so that the agent's answer, which repeats it, is long enough to be interrupted."""
INTO_ANSWER_SECONDS = 0.5
STEADY_SECONDS = 20.0
SAMPLE_SECONDS = 1.0

Figures = dict[str, Figure]


@dataclass
class Bench:
    """What a run has found. `faults` are sentences on what went wrong; what failed is in no figure."""

    url: str
    figures: Figures
    speech: Sequence[Sound]
    faults: list[str] = field(default_factory=list)
    _turns: dict[str, Iterator[Sound]] = field(default_factory=dict)

    def add(self, name: str, design: Design, value: float) -> None:
        """Note a value of one design."""
        figure = self.figures[name]
        (figure.ours if design.name == "Greenroom" else figure.theirs).append(value)

    def next_speech(self, design: Design) -> Sound:
        """What to say next; each design is told the same in the same order."""
        return next(self._turns.setdefault(design.name, itertools.cycle(self.speech)))


async def start_answers(run: Bench, design: Design, count: int) -> None:
    """How long the API takes to answer a start, one after the other; each agent comes before its session is stopped."""
    control = Control(run.url)
    try:
        await control.open()
        for _ in range(count):
            asked = time.monotonic()
            started = await control.start(wait_ms=0)
            run.add("answer", design, (time.monotonic() - asked) * 1000)
            await _until_ready(control, started.session)
            await control.stop(started.session)
    finally:
        await control.close()


async def _until_ready(control: Control, session: str) -> None:
    """Return when the agent is there, or after READY_TRIES looks."""
    for _ in range(READY_TRIES):
        if (await control.session(session))["status"] == "ready":
            return
        await asyncio.sleep(0.05)


async def one_call(run: Bench, design: Design, *, interrupt: bool) -> None:
    """A call from request to hang-up: the start, TURNS things said, and perhaps a barge-in."""
    async with Caller(run.url) as caller:
        try:
            await design.place(caller)
            run.add("agent", design, await caller.wait_for_agent(AGENT_SECONDS) - caller.asked_at)
            heard = await caller.wait_for_sound(caller.asked_at, GREETING_SECONDS)
            run.add("greeting", design, heard - caller.asked_at)
            for _ in range(TURNS):
                await caller.wait_for_quiet(QUIET_SECONDS, 30)
                await _turn(run, design, caller)
            if interrupt:
                await caller.wait_for_quiet(QUIET_SECONDS, 30)
                await _barge_in(run, design, caller)
        except (CallError, ControlError) as error:
            run.faults.append(f"{design.name}: {error}")
        finally:
            await _ended(run, design, caller)


async def _turn(run: Bench, design: Design, caller: Caller) -> None:
    """Say something and time the answer."""
    turn = await take_turn(caller, run.next_speech(design))
    if turn.answer is not None:
        run.add("turn", design, turn.answer)
    elif turn.early:
        run.faults.append(f"{design.name}: the agent answered before the speech was over; not counted")
    else:
        run.faults.append(f"{design.name}: no answer within {ANSWER_SECONDS:g} s")


async def _barge_in(run: Bench, design: Design, caller: Caller) -> None:
    """Interrupt a long answer and time its silence. Counted if the agent spoke on after the caller began."""
    asked = time.monotonic()
    await caller.write(LONG_REQUEST)
    begun = await caller.wait_for_sound(asked, ANSWER_SECONDS)
    await caller.wait_for(lambda: time.monotonic() >= begun + INTO_ANSWER_SECONDS, "the answer going on", 5)
    said = await caller.speak(run.speech[0])
    silent = await caller.wait_for_silence(said.began, quiet=0.3, timeout=10)
    if silent > said.began:
        run.add("barge_in", design, silent - said.began)
    else:
        run.faults.append(f"{design.name}: the agent had stopped before it was interrupted; not counted")


async def burst(run: Bench, design: Design, count: int) -> None:
    """`count` callers at the same instant; until the last of them sees its agent."""
    callers = [Caller(run.url, listens=False) for _ in range(count)]
    try:
        await asyncio.gather(*(caller.control.open() for caller in callers))
        began = time.monotonic()
        seen = await asyncio.gather(*(_placed(design, caller) for caller in callers), return_exceptions=True)
        came = [at for at in seen if isinstance(at, float)]
        for error in seen:
            if isinstance(error, BaseException):
                run.faults.append(f"{design.name}, {count} at once: {error}")
        if len(came) == count:
            run.add("burst", design, max(came) - began)
    finally:
        await asyncio.gather(*(_ended(run, design, caller) for caller in callers))
        await asyncio.gather(*(caller.leave() for caller in callers))


async def _placed(design: Design, caller: Caller) -> float:
    await design.place(caller)
    return await caller.wait_for_agent(AGENT_SECONDS)


async def _ended(run: Bench, design: Design, caller: Caller) -> None:
    """End a call; one that can't be ended is a fault, and no reason to give up everything."""
    try:
        await design.end(caller)
    except (ControlError, TimeoutError) as error:
        run.faults.append(f"{design.name}: a call can't be ended: {error}")


async def steady(run: Bench, design: Design, seconds: float = STEADY_SECONDS) -> None:
    """Memory and processor time of one call: `seconds` in which nobody speaks, and as many in which they talk."""
    tasks = Background("bench")
    async with Caller(run.url) as caller:
        try:
            await design.place(caller)
            await caller.wait_for_sound(caller.asked_at, AGENT_SECONDS)
            await caller.wait_for_quiet(2.0, 30)
            await _watch(run, design, caller, "silent", tasks.start(asyncio.sleep(seconds), "wait"))
            await _watch(run, design, caller, "talking", tasks.start(_talk(run, design, caller, seconds), "talk"))
        except (CallError, ControlError) as error:
            run.faults.append(f"{design.name}: {error}")
        finally:
            await _ended(run, design, caller)


async def _watch(run: Bench, design: Design, caller: Caller, what: str, doing: asyncio.Task[None]) -> None:
    """Sample the call's process until `doing` is done."""
    job = design.job(caller)
    meter = CpuMeter(job)
    while not doing.done():
        await asyncio.wait([doing], timeout=SAMPLE_SECONDS)
        used = memory(job.pid)
        run.add(f"own_{what}", design, used.own)
        run.add(f"pss_{what}", design, used.pss)
    run.add(f"cpu_{what}", design, meter.cores())
    await doing


async def _talk(run: Bench, design: Design, caller: Caller, seconds: float) -> None:
    """Converse for at least `seconds`: say something, hear the answer to its end, and so on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = await caller.speak(run.next_speech(design))
        with contextlib.suppress(TookTooLong):  # a turn that was not understood; latency is measured elsewhere
            await caller.wait_for_sound(said.ended, ANSWER_SECONDS)
        await caller.wait_for_quiet(QUIET_SECONDS, 30)
