"""`make words`: how well the bundled speech-to-text understands humans, and how many words it makes up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from bench.harness import machine
from bench.report import report, tables
from bench.words.ears import understood
from bench.words.recordings import readings, through, wordless
from bench.words.score import Score, made_up, score

RATES = (48_000, 16_000, 8_000)  # Hz: a browser, a headset, a telephone


async def _scores() -> list[Score]:
    return [
        score(reading, rate, await understood(through(reading.samples, rate)))
        for reading in readings()
        for rate in RATES
    ]


async def _made_up() -> dict[int, dict[str, int]]:
    sounds = wordless()
    return {
        rate: made_up({name: await understood(through(sound, rate)) for name, sound in sounds.items()})
        for rate in RATES
    }


def table(scores: Sequence[Score], invented: Mapping[int, Mapping[str, int]]) -> Table:
    """Word error rates by recording and rate; below them the words that were made up."""
    made = Table(title=Text("Words, as a call hears them", style="bold"), title_justify="left")
    made.add_column("recording")
    made.add_column("words", justify="right")
    for rate in RATES:
        made.add_column(f"{rate // 1000} kHz", justify="right")
    for name in dict.fromkeys(each.name for each in scores):
        rows = {each.rate: each for each in scores if each.name == name}
        made.add_row(name, str(rows[RATES[0]].words), *(f"{100 * rows[rate].error_rate:.1f} %" for rate in RATES))
    sounds = len(next(iter(invented.values())))
    made.add_section()
    made.add_row(f"made up, in {sounds} sounds without words", "0", *(str(sum(invented[r].values())) for r in RATES))
    return made


def main() -> int:
    """Measure, print the table, write the file."""
    scores, invented = asyncio.run(_scores()), asyncio.run(_made_up())
    console = tables.console()
    console.print(table(scores, invented))
    for rate, sounds in invented.items():
        for name, words in sounds.items():
            if words:
                console.print(f"fault: {words} words made up in {name} at {rate} Hz", markup=False)
    tables.OUT.mkdir(exist_ok=True)
    path = tables.OUT / "words.json"
    found = {"scores": [asdict(each) for each in scores], "madeUp": invented}
    report.write(path, {"machine": machine.describe("bench.words"), **found})
    console.print(f"written: {path}")
    return int(any(sum(sounds.values()) for sounds in invented.values()))


if __name__ == "__main__":
    sys.exit(main())
