"""`python -m bench.load`: places real calls on a Greenroom of its own, by seed, and tells what became of each.

It fails when a call was lost (accepted, and then no agent ever, or ended by an error) or doubled (two agents at once).
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

from bench.harness import machine
from bench.harness.idle import settled
from bench.harness.system import NotReady, System
from bench.load import arrivals, outcome
from bench.load.call import place
from bench.load.lines import Lines, Plan, conversations, everything, greeted_only
from bench.load.outcome import Outcome
from bench.report import load_charts, report, tables
from client.caller import Caller

SENTENCES = 2  # said in a conversation, between a fact and the question for it: 20 to 30 s in all
READY_SECONDS = 1.0  # by which a caller is made before it calls: connected to the API, as a page that is open is


def main() -> int:
    """Place the calls; the exit code: 0 when none was lost or doubled."""
    given = _arguments()
    plans = _plans(given)
    slots = given.slots or max(8, given.burst or 0)
    print(f"{len(plans)} calls, seed {given.seed}, pool {given.pool}, slots {slots}", flush=True)
    if not plans:
        print("nobody calls: take more minutes or a higher rate", file=sys.stderr)
        return 2
    talked = any(plan.fact is not None for plan in plans)
    lines = everything() if talked else Lines((), ())
    environment = {
        "PREWARM_POOL_SIZE": str(given.pool),
        "GREENROOM_SLOTS": str(slots),
        "MAX_BOTS": str(max(50, slots)),
        "GREENROOM_RATE_LIMIT": "off",
    }
    logging.getLogger("livekit").setLevel(logging.CRITICAL)  # the SDK calls every room's end an error
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the system must not outlive this program
    with tempfile.TemporaryDirectory(prefix="greenroom-load-") as directory:
        try:
            with System(Path(directory), environment) as system:
                outcomes = asyncio.run(_run(system, plans, lines, given.pool))
        except NotReady as error:
            print(error, file=sys.stderr)
            return 1
    _report(given, outcomes)
    return 0 if outcome.passed(outcomes) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--burst", type=int, metavar="N", help="N callers at the same instant, who hang up once greeted")
    kinds.add_argument("--poisson", type=float, metavar="RATE", help="RATE callers a minute, independent of each other")
    kinds.add_argument("--ramp", type=int, metavar="N", help="N callers, ever closer together")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long callers come, but for a burst (default 5)")
    parser.add_argument(
        "--hang-up-once-greeted",
        action=argparse.BooleanOptionalAction,
        help="don't talk: two cores carry about 4 full conversations and their callers (default for a burst)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of arrivals and of what is said (default 1)")
    parser.add_argument("--pool", type=int, default=3, help="warm processes (default 3)")
    parser.add_argument("--slots", type=int, help="calls at once (default 8, or as many as the burst has)")
    given = parser.parse_args()
    if min(given.burst or 1, given.poisson or 1, given.ramp or 1, given.minutes, given.pool) <= 0:
        parser.error("numbers must be above 0")
    return given


def _plans(given: argparse.Namespace) -> list[Plan]:
    """What is called and said: the same for the same seed."""
    chance = random.Random(given.seed)
    if given.burst:
        times = arrivals.burst(given.burst)
    elif given.poisson:
        times = arrivals.poisson(given.poisson, given.minutes, chance)
    else:
        times = arrivals.ramp(given.ramp, given.minutes)
    quick = given.hang_up_once_greeted if given.hang_up_once_greeted is not None else bool(given.burst)
    return greeted_only(times) if quick else conversations(times, chance, sentences=SENTENCES)


async def _run(system: System, plans: Sequence[Plan], lines: Lines, pool: int) -> list[Outcome]:
    """Place every call at its time."""
    await settled(system, pool=pool)
    begin = time.monotonic() + READY_SECONDS
    return list(await asyncio.gather(*(_call(system, plan, lines, begin) for plan in plans)))


async def _call(system: System, plan: Plan, lines: Lines, begin: float) -> Outcome:
    await asyncio.sleep(begin + plan.at - READY_SECONDS - time.monotonic())
    caller = Caller(system.url)
    await caller.control.open()
    await asyncio.sleep(begin + plan.at - time.monotonic())
    ended = await place(caller, plan, lines)
    if plan.fact is not None or ended.failed is not None:
        print(f"{time.strftime('%H:%M:%S')} call at {plan.at:.0f} s: {ended.failed or 'over'}", flush=True)
    return ended


def _report(given: argparse.Namespace, outcomes: Sequence[Outcome]) -> None:
    """Print the table, write the files."""
    kind = next(name for name in ("burst", "poisson", "ramp") if getattr(given, name))
    title = f"{len(outcomes)} calls, {kind}, seed {given.seed}"
    described = machine.describe("bench.load")
    counts = outcome.counts(outcomes)
    console = tables.console()
    console.print(tables.figures(title, outcome.rows(outcomes)))
    console.print(tables.counted(counts, bad=("lost", "doubled", "needless second dispatches")))
    for fault in outcome.faults(outcomes):
        console.print(f"fault: {fault}", markup=False)
    tables.OUT.mkdir(exist_ok=True)
    json, png = tables.OUT / f"load-{kind}.json", tables.OUT / f"load-{kind}.png"
    found = {"machine": described, "seed": given.seed, "counts": counts, "calls": outcome.as_json(outcomes)}
    report.write(json, found)
    load_charts.draw(png, title, outcomes, described)
    console.print(f"written: {json}, {png}")


if __name__ == "__main__":
    sys.exit(main())
