"""`python -m bench`: starts Greenroom by itself, measures it side by side with a process per call, and reports."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.compare.figures import figures
from bench.harness.idle import measure_idle, settled
from bench.harness.system import NotReady, System
from bench.report.stats import Figure

POOL = 3
BURST = 10
OUT = Path(__file__).parent / "out"
PARTS = ("idle", "start", "calls", "burst", "steady")
REST_SECONDS = 2.5  # two of the worker's heartbeats: only they tell the dispatcher of slots that are free again
BUSY_LOAD = 0.4  # of each core; a machine that waits is below 0.1
LIMIT_SECONDS = 45 * 60.0  # nothing new is begun after that
ENVIRONMENT = {
    "PREWARM_POOL_SIZE": str(POOL),
    "GREENROOM_SLOTS": str(BURST),
    "GREENROOM_RATE_LIMIT": "off",
}


def main() -> int:
    """Measure and report; the exit code: 0 when it could measure, whatever it found."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="calls of each design (default 10)")
    parser.add_argument("--quick", action="store_true", help="few of everything, to see that it works: no figures")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--ours", action="store_true", help="leave out the process per call")
    given = parser.parse_args()
    rounds = 2 if given.quick else given.rounds
    if rounds < 1:
        parser.error("--rounds must be at least 1")
    found = figures()
    before = _busy()
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as directory:
        try:
            _say("starting Greenroom")
            with System(Path(directory), ENVIRONMENT) as system:
                parts = tuple(given.only or PARTS)
                faults = asyncio.run(_measure(system, found, parts, rounds, quick=given.quick, ours=given.ours))
        except NotReady as error:
            print(error, file=sys.stderr)
            return 1
    _report(found, before + faults)
    return 0


def _busy() -> list[str]:
    """A sentence, if the machine is busy with something else."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load < BUSY_LOAD * cores:
        return []
    return [f"the machine was busy before it began (load {load:.1f} on {cores} cores): every figure is too high"]


async def _measure(
    system: System, found: dict[str, Figure], parts: tuple[str, ...], rounds: int, *, quick: bool, ours: bool
) -> list[str]:
    """Do every part; what went wrong."""
    if "idle" in parts:
        _say("idle: memory of everything")
        await measure_idle(system, POOL, found)
    logging.getLogger("livekit").setLevel(logging.CRITICAL)  # the SDK calls every room's end an error
    # Not before: they load the libraries that an idle Greenroom's memory is measured without.
    from bench.compare import calls
    from bench.compare.designs import Design, GreenroomDesign, ProcessPerCallDesign
    from bench.harness.speech import utterances

    run = calls.Bench(system.url, found, utterances())
    warm, spawned = GreenroomDesign(system), ProcessPerCallDesign(system, system.directory / "process_per_call.log")
    both: tuple[Design, ...] = (warm,) if ours else (warm, spawned)
    deadline = time.monotonic() + LIMIT_SECONDS

    async def rest() -> bool:
        """Wait for a full pool; whether there is time for more."""
        await settled(system, pool=POOL)
        await asyncio.sleep(REST_SECONDS)
        return time.monotonic() < deadline

    try:
        if "start" in parts and await rest():
            _say("start: the API's answer")
            await calls.start_answers(run, warm, 10 if quick else 100)
        for number in range(rounds if "calls" in parts else 0):
            for design in both:
                if await rest():
                    _say(f"calls: round {number + 1} of {rounds}, {design.name}")
                    await calls.one_call(run, design, interrupt=design is warm)
        for number in range((1 if quick else 3) if "burst" in parts else 0):
            for design in both:
                if await rest():
                    _say(f"burst: {BURST} starts at once, time {number + 1}, {design.name}")
                    await calls.burst(run, design, BURST)
        for number in range((1 if quick else 3) if "steady" in parts else 0):
            for design in both:
                if await rest():
                    _say(f"steady: a silent and a talking call, time {number + 1}, {design.name}")
                    await calls.steady(run, design, 5.0 if quick else calls.STEADY_SECONDS)
    finally:
        await spawned.close()
    return run.faults


def _report(found: dict[str, Figure], faults: list[str]) -> None:
    """Print the table, write the files."""
    from rich.console import Console

    from bench.harness import machine
    from bench.report import chart, report

    described = machine.describe()
    console = Console(width=None if sys.stdout.isatty() else 180, highlight=False)
    console.print(report.table(found.values()))
    console.print(f"{described['cpu']}, {described['cores']} cores, {described['memoryGB']} GB, {described['command']}")
    for fault in faults:
        console.print(f"fault: {fault}", markup=False)
    OUT.mkdir(exist_ok=True)
    report.write(OUT / "bench.json", report.as_json(found, described, faults))
    chart.draw(OUT / "bench.png", found, described)
    console.print(f"written: {OUT / 'bench.json'}, {OUT / 'bench.png'}")


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
