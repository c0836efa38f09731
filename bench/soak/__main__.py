"""`python -m bench.soak`: holds steady calls on a Greenroom of its own for long and looks whether anything grows.

It fails when something grew (memory or open files of a process, keys, rooms), when a dead process stayed, or when a
call was lost or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis

from bench.harness import machine
from bench.harness.idle import settled
from bench.harness.rooms import open_rooms
from bench.harness.system import NotReady, System
from bench.load import outcome
from bench.load.call import place
from bench.load.lines import Lines, Plan, conversations, everything
from bench.load.outcome import Outcome
from bench.report import report, tables
from bench.soak import report as soak_report
from bench.soak.samples import Sample, Sampler
from client.caller import Caller
from runtime.background import Background

POOL = 3
SENTENCES = 8  # said in a long call: about a minute
SHORT_SECONDS = 15.0  # between two callers who hang up once greeted
KEPT_SHARE = 0.1  # of the time for which ended sessions are kept: their number is steady by the second fifth
KEPT_SECONDS = 60.0  # at most


def main() -> int:
    """Hold the calls; the exit code: 0 when everything stayed as it was."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=20.0, help="how long (default 20; under 5 all is still warming up)"
    )
    parser.add_argument("--talkers", type=int, default=2, help="callers who talk at any time (default 2)")
    parser.add_argument("--every", type=float, default=10.0, metavar="SECONDS", help="between samples (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="of what is said (default 1)")
    given = parser.parse_args()
    if min(given.minutes, given.talkers, given.every) <= 0:
        parser.error("numbers must be above 0")
    print(f"{given.minutes:g} minutes, {given.talkers} talkers, seed {given.seed}", flush=True)
    environment = {
        "PREWARM_POOL_SIZE": str(POOL),
        "GREENROOM_SLOTS": str(given.talkers + 6),
        "GREENROOM_RATE_LIMIT": "off",
        "GREENROOM_KEEP_SECONDS": str(min(KEPT_SECONDS, given.minutes * 60 * KEPT_SHARE)),
    }
    lines = everything()
    logging.getLogger("livekit").setLevel(logging.CRITICAL)  # the SDK calls every room's end an error
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the system must not outlive this program
    with tempfile.TemporaryDirectory(prefix="greenroom-soak-") as directory:
        try:
            with System(Path(directory), environment) as system:
                soak = Soak(system, lines, random.Random(given.seed), given.minutes * 60)
                asyncio.run(soak.run(given.talkers, given.every))
        except NotReady as error:
            print(error, file=sys.stderr)
            return 1
    _report(given, soak.samples, soak.outcomes)
    return 0 if soak_report.passed(soak.samples) and outcome.passed(soak.outcomes) else 1


class Soak:
    """One soak: its calls and its samples."""

    def __init__(self, system: System, lines: Lines, chance: random.Random, seconds: float) -> None:
        self.samples: list[Sample] = []
        self.outcomes: list[Outcome] = []
        self._system, self._lines, self._chance = system, lines, chance
        self._seconds = seconds
        self._begin = 0.0
        self._tasks = Background("soak")

    async def run(self, talkers: int, every: float) -> None:
        """Call and sample until the time is over; then let the last calls end."""
        await settled(self._system, pool=POOL)
        self._begin = time.monotonic()
        calls = [self._tasks.start(self._talker(number), f"talker {number}") for number in range(talkers)]
        calls.append(self._tasks.start(self._short_calls(), "short calls"))
        async with Redis.from_url(self._system.redis_url) as store, open_rooms(self._system) as rooms:
            sampler = Sampler(self._system, store, rooms)
            while self._going():
                self.samples.append(await sampler.take())
                await asyncio.sleep(every)
        await asyncio.gather(*calls)

    def _now(self) -> float:
        return time.monotonic() - self._begin

    def _going(self) -> bool:
        return self._now() < self._seconds

    async def _talker(self, number: int) -> None:
        """Long calls, one after the other; each talker begins at its own time, so that they don't speak in step."""
        await asyncio.sleep(number * SHORT_SECONDS / 3)
        while self._going():
            (plan,) = conversations([self._now()], self._chance, sentences=SENTENCES)
            await self._call(plan)

    async def _short_calls(self) -> None:
        """Callers who hang up once greeted, now and then."""
        calls: list[asyncio.Task[None]] = []
        while self._going():
            calls.append(self._tasks.start(self._call(Plan(self._now())), "short call"))
            await asyncio.sleep(SHORT_SECONDS)
        await asyncio.gather(*calls)

    async def _call(self, plan: Plan) -> None:
        ended = await place(Caller(self._system.url), plan, self._lines)
        self.outcomes.append(ended)
        if plan.fact is not None or ended.failed is not None:
            what = ended.failed or f"over, {len(ended.turns)} turns"
            print(f"{time.strftime('%H:%M:%S')} call at {plan.at:.0f} s: {what}", flush=True)


def _report(given: argparse.Namespace, samples: Sequence[Sample], outcomes: Sequence[Outcome]) -> None:
    """Print the tables, write the files."""
    title = f"{given.minutes:g} minutes with {given.talkers} talking callers and a short call every {SHORT_SECONDS:g} s"
    described = machine.describe("bench.soak")
    counts = outcome.counts(outcomes)
    console = tables.console()
    console.print(tables.figures("The calls", outcome.rows(outcomes)))
    console.print(tables.counted(counts, bad=("lost", "doubled")))
    console.print(soak_report.table(title, samples))
    for fault in [*outcome.faults(outcomes), *soak_report.faults(samples)]:
        console.print(f"fault: {fault}", markup=False)
    tables.OUT.mkdir(exist_ok=True)
    json, png = tables.OUT / "soak.json", tables.OUT / "soak.png"
    calls = {"counts": counts, "calls": outcome.as_json(outcomes)}
    report.write(json, {"machine": described, "seed": given.seed, **calls, **soak_report.as_json(samples)})
    soak_report.draw(png, title, samples, described)
    console.print(f"written: {json}, {png}")


if __name__ == "__main__":
    sys.exit(main())
