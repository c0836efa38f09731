"""Tables and files that a run of load leaves: medians and extremes, and how many of what; measures nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.report.stats import percentile

OUT = Path(__file__).parents[1] / "out"


@dataclass(frozen=True)
class Row:
    """One figure with all its values."""

    name: str
    unit: str
    values: Sequence[float]


def figures(title: str, rows: Iterable[Row]) -> Table:
    """Median, 95th percentile and most of every figure that has values."""
    table = Table(title=Text(title, style="bold"), title_justify="left")
    table.add_column("figure")
    table.add_column("unit")
    for name in ("median", "p95", "most", "n"):
        table.add_column(name, justify="right")
    for row in rows:
        if row.values:
            found = (percentile(row.values, "p50"), percentile(row.values, "p95"), max(row.values))
            table.add_row(row.name, row.unit, *(shown(value, row.unit) for value in found), str(len(row.values)))
    return table


def shown(value: float, unit: str) -> str:
    """A value in as many digits as say something."""
    return f"{value:.{2 if unit == 's' else 0}f}"


def counted(counts: Mapping[str, int], *, bad: Iterable[str]) -> Text:
    """A line of counts, the zeros left out except those of the `bad` ones, which are red when they aren't zero."""
    line = Text()
    for name, count in counts.items():
        if count or name in bad:
            style = "" if name not in bad else "bold red" if count else "green"
            line.append(" · " if line else "").append(f"{name} {count}", style)
    return line


def console() -> Console:
    """Where to print: as wide as a table is, where that isn't a terminal."""
    return Console(width=None if sys.stdout.isatty() else 140, highlight=False)
