"""What a soak came to: a table of what stayed flat, a file, a picture; samples nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from rich.table import Table
from rich.text import Text

from bench.report.load_charts import AGENT, BAD, described, plain
from bench.soak.flat import stayed
from bench.soak.samples import Sample, Series, series

COLUMNS = 4
VERDICTS = {None: "[yellow]too short to say[/yellow]", True: "[green]flat[/green]", False: "[red]grows[/red]"}


def passed(samples: Sequence[Sample]) -> bool:
    """Whether everything stayed flat, and nobody stayed unburied."""
    return all(each.passes for each in series(samples)) and not stayed([sample.zombies for sample in samples])


def table(title: str, samples: Sequence[Sample]) -> Table:
    """Each thing in the second fifth of the time and in the last one."""
    made = Table(title=Text(title, style="bold"), title_justify="left")
    made.add_column("what")
    made.add_column("unit")
    for name in ("second fifth", "last fifth", "may grow by"):
        made.add_column(name, justify="right")
    made.add_column("")
    for each in series(samples):
        found = each.verdict
        made.add_row(
            each.name, each.unit, _shown(found.before), _shown(found.after), _shown(found.allowed), VERDICTS[found.flat]
        )
    return made


def faults(samples: Sequence[Sample]) -> list[str]:
    """A sentence for each thing that grew, and for each process that nobody waited for."""
    found: list[str] = []
    for each in series(samples):
        verdict = each.verdict
        if verdict.flat is False:
            found.append(f"{each.name}: from {_shown(verdict.before)} to {_shown(verdict.after)} {each.unit}".rstrip())
    left = sorted(stayed([sample.zombies for sample in samples]))
    return [*found, *(f"process {pid} is dead and nobody waits for it" for pid in left)]


def as_json(samples: Sequence[Sample]) -> dict[str, Any]:
    """Every sample, and the verdicts."""
    verdicts = {each.name: each.verdict for each in series(samples)}
    return {
        "verdicts": {name: {**asdict(found), "flat": found.flat} for name, found in verdicts.items()},
        "samples": [asdict(sample) for sample in samples],
    }


def draw(path: Path, title: str, samples: Sequence[Sample], machine: Mapping[str, Any]) -> None:
    """Write the picture as a PNG: one panel for each thing, the compared fifths shaded."""
    found = series(samples)
    rows = -(-len(found) // COLUMNS)
    fig, axes = plt.subplots(rows, COLUMNS, figsize=(14, 2.1 * rows), layout="constrained", sharex=True)
    for axis, each in zip(axes.flat, found, strict=False):
        _panel(axis, each)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    described(fig, f"{title} (minutes; shaded: the fifths that are compared)", machine)
    fig.savefig(path, dpi=110)
    plt.close(fig)


def _panel(axis: Any, each: Series) -> None:
    grows = each.verdict.flat is False
    points = [(at / 60, value) for at, value in zip(each.times, each.values, strict=True) if value is not None]
    if each.times and each.verdict.flat is not None:
        compared = (each.times[-1] - each.settles) / 60
        for begin in (0.2, 0.8):
            axis.axvspan(*(each.settles / 60 + (begin + add) * compared for add in (0, 0.2)), color="#f1f1f1", zorder=0)
    axis.plot([at for at, _ in points], [value for _, value in points], color=BAD if grows else AGENT, linewidth=1.4)
    plain(axis, f"{each.name}{f', {each.unit}' if each.unit else ''}")
    axis.set_ylim(top=max([1.0, *(value * 1.3 for _, value in points)]))
    axis.tick_params(labelsize=8, labelbottom=True)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
