"""`python -m bench.restarts`: starts sessions while the worker is restarted again and again, and counts those it lost.

It fails when an accepted start didn't end up, and stay, with exactly one agent, or had two at one time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.harness import machine
from bench.harness.idle import settled
from bench.harness.rooms import open_rooms
from bench.harness.system import NotReady, System
from bench.report import report, tables
from bench.restarts import report as restart_report
from bench.restarts.plan import BEFORE_SECONDS, Cycle, Start, cycles
from bench.restarts.report import Restart
from bench.restarts.start import Follower, StartFate
from client.api import Control

POOL, SLOTS = 3, 20  # as many slots as starts may be under way: none is held up by another
BACK_SECONDS = 90.0
ENVIRONMENT = {
    "PREWARM_POOL_SIZE": str(POOL),
    "GREENROOM_SLOTS": str(SLOTS),
    "GREENROOM_RATE_LIMIT": "off",
}


def main() -> int:
    """Start and restart; the exit code: 0 when nothing was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m bench.restarts", description=__doc__)
    parser.add_argument("--starts", type=int, default=500, help="half of them around restarts (default 500)")
    parser.add_argument("--minutes", type=float, default=45.0, help="no cycle is begun after that (default 45)")
    parser.add_argument("--seed", type=int, default=1, help="of all moments (default 1)")
    given = parser.parse_args()
    if given.starts < 1 or given.minutes <= 0:
        parser.error("numbers must be above 0")
    planned = cycles(given.starts, random.Random(given.seed))
    print(f"{given.starts} starts, {len(planned)} restarts, seed {given.seed}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the system must not outlive this program
    with tempfile.TemporaryDirectory(prefix="greenroom-restarts-") as directory:
        try:
            with System(Path(directory), ENVIRONMENT) as system:
                run = asyncio.run(_run(system, planned, given.minutes * 60))
        except NotReady as error:
            print(error, file=sys.stderr)
            return 1
    complete = len(run.starts) == given.starts and all(restart.back is not None for restart in run.restarts)
    _report(given.seed, run)
    if not complete:
        print("not all that was planned could be done", file=sys.stderr)
    return 0 if complete and restart_report.passed(run.starts) else 1


class _Run:
    """The starts and restarts of one run, as they happen."""

    def __init__(self, system: System, follower: Follower) -> None:
        self.starts: list[StartFate] = []
        self.restarts: list[Restart] = []
        self._system, self._follower = system, follower
        self._begin = time.monotonic()

    async def cycle(self, cycle: Cycle) -> None:
        """Some starts in the quiet, then a restart with starts around it, until all of them are over."""
        await self._all(cycle.quiet, time.monotonic(), around=False)
        moment = time.monotonic() + BEFORE_SECONDS
        await asyncio.gather(self._restart(cycle.kind, moment), self._all(cycle.around, moment, around=True))

    async def _all(self, starts: Sequence[Start], moment: float, *, around: bool) -> None:
        await asyncio.gather(*(self._one(start, moment, around=around) for start in starts))

    async def _one(self, start: Start, moment: float, *, around: bool) -> None:
        await asyncio.sleep(moment + start.offset - time.monotonic())
        started = StartFate(around, time.monotonic() - self._begin)
        self.starts.append(started)
        await self._follower.follow(started, start.hold)

    async def _restart(self, kind: signal.Signals, moment: float) -> None:
        """Send the signal to the worker's parent alone, and wait until `greenroom up` has brought it back."""
        before = self._system.pids["worker"]
        await asyncio.sleep(moment - time.monotonic())
        os.kill(before, kind)
        sent, back = time.monotonic(), None
        while back is None and time.monotonic() < sent + BACK_SECONDS:
            await asyncio.sleep(0.05)
            if self._system.pids["worker"] != before:
                back = time.monotonic() - sent
        self.restarts.append(Restart(sent - self._begin, kind.name, back))


async def _run(system: System, planned: Sequence[Cycle], seconds: float) -> _Run:
    """All cycles, as long as there is time."""
    control = Control(system.url)
    async with open_rooms(system) as rooms, contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(control.close)
        run = _Run(system, Follower(control, rooms))
        end = time.monotonic() + seconds
        for number, cycle in enumerate(planned, 1):
            try:
                await settled(system, pool=POOL)
            except TimeoutError as error:
                print(error, file=sys.stderr)
                break
            await run.cycle(cycle)
            lost, doubled = (sum(getattr(start, name) for start in run.starts) for name in ("lost", "doubled"))
            print(
                f"{time.strftime('%H:%M:%S')} cycle {number} of {len(planned)}, {cycle.kind.name}: "
                f"{len(run.starts)} starts, lost {lost}, doubled {doubled}",
                flush=True,
            )
            if time.monotonic() > end:
                break
    return run


def _report(seed: int, run: _Run) -> None:
    """Print the table, write the files."""
    title = f"{len(run.starts)} starts, {len(run.restarts)} restarts of the worker, seed {seed}"
    described = machine.describe("bench.restarts")
    counts = restart_report.counts(run.starts, run.restarts)
    console = tables.console()
    console.print(tables.figures(title, restart_report.rows(run.starts, run.restarts)))
    console.print(tables.counted(counts, bad=("lost", "doubled", "dispatched again in the quiet")))
    for fault in restart_report.faults(run.starts):
        console.print(f"fault: {fault}", markup=False)
    tables.OUT.mkdir(exist_ok=True)
    json, png = tables.OUT / "restarts.json", tables.OUT / "restarts.png"
    found = restart_report.as_json(run.starts, run.restarts)
    report.write(json, {"machine": described, "seed": seed, "counts": counts, **found})
    restart_report.draw(png, title, run.starts, run.restarts, described)
    console.print(f"written: {json}, {png}")


if __name__ == "__main__":
    sys.exit(main())
