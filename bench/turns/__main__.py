"""`python -m bench.turns`: how soon a human caller is answered and how often too soon, beside Pipecat's own turns."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from loguru import logger
from rich.console import Console
from rich.table import Table

from bench.harness import machine
from bench.harness.own_time import OwnTimeLoop
from bench.report import turn_charts
from bench.turns.figures import AFTER, BEFORE, Answers, reached, summary
from bench.turns.replay import Answered, answer, asked_again, asked_once
from bench.turns.sounds import Said, everything
from pipeline.local import stt, tts

OUT = Path(__file__).parents[1] / "out"


def main() -> int:
    """Say everything to both; the exit code: 0 when what was aimed at is reached."""
    parser = argparse.ArgumentParser(prog="python -m bench.turns", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few of everything, to see that it works: no figures")
    given = parser.parse_args()
    logger.remove()
    stt.preload()
    tts.preload()
    said = everything(quick=given.quick)
    print(f"{len(said)} things are said, twice each", flush=True)
    with asyncio.Runner(loop_factory=OwnTimeLoop) as runner:
        answers = runner.run(measure(said))
    _report(answers)
    return 1 if reached(answers) and not given.quick else 0


async def measure(said: list[Said]) -> Answers:
    """Say all of it, each thing to both in turn: what else the machine does is the same for both."""
    answers: dict[str, list[Answered]] = {BEFORE: [], AFTER: []}
    both = ((BEFORE, asked_once()), (AFTER, asked_again()))
    for number, each in enumerate(said):
        for name, stop in both:
            answers[name].append(await answer(each, stop))
        heard = " / ".join("early" if given[-1].early else f"{given[-1].seconds}" for given in answers.values())
        print(f"{time.strftime('%H:%M:%S')} {number + 1} of {len(said)} {each.path}: {heard}", flush=True)
    return answers


def _report(answers: Answers) -> None:
    described = machine.describe("bench.turns")
    rows = [summary(name, given) for name, given in answers.items()]
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(str, row.values()))
    console = Console(width=None if sys.stdout.isatty() else 180, highlight=False)
    console.print(table)
    faults = reached(answers)
    for fault in faults:
        console.print(f"fault: {fault}", markup=False)
    OUT.mkdir(exist_ok=True)
    each = {
        name: [
            {"path": one.said.path, "hesitates": one.said.hesitates, "seconds": one.seconds, "early": one.early}
            for one in given
        ]
        for name, given in answers.items()
    }
    written = {"machine": described, "summary": rows, "faults": faults, "answers": each}
    (OUT / "turns.json").write_text(json.dumps(written, indent=1) + "\n")
    turn_charts.draw(OUT / "turns.png", answers, described)
    console.print(f"written: {OUT / 'turns.json'}, {OUT / 'turns.png'}")


if __name__ == "__main__":
    sys.exit(main())
