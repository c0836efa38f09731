"""Shows what was measured: a table for people, a JSON file for programs; measures nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.report.stats import Figure, Target, percentile, summary

BASELINE = "process per call"


def shown(value: float, unit: str) -> str:
    """A value in as many digits as say something."""
    digits = {"ms": 1, "s": 2, "MB": 0, "core": 3}.get(unit, 2)
    return f"{value:.{digits}f}"


def spread(values: Sequence[float], unit: str) -> str:
    """Median [p95; least to most], or a dash."""
    if not values:
        return "-"
    least, most, high = min(values), max(values), percentile(values, "p95")
    middle = shown(percentile(values, "p50"), unit)
    if len(values) == 1:
        return middle
    return f"{middle} [{shown(high, unit)}; {shown(least, unit)}-{shown(most, unit)}]"


def wanted(figure: Figure) -> str:
    """Its targets in words."""
    parts = [_target(target, figure.unit) for target in figure.targets]
    if figure.times_better is not None:
        parts.append(f"{figure.times_better:g}×")
    return ", ".join(parts)


def _target(target: Target, unit: str) -> str:
    which = "" if target.of == "p50" else f"{target.of} "
    digits = {"core": 2, "s": 2}.get(unit, 0)
    return f"{which}≤ {target.at_most:.{digits}f}"


def table(figures: Iterable[Figure]) -> Table:
    """Every figure that has values."""
    title = Text("Greenroom, side by side with a process per call: median [p95; least-most]", style="bold")
    made = Table(title=title, title_justify="left")
    made.add_column("figure")
    made.add_column("unit")
    for name in ("Greenroom", BASELINE, "ratio"):
        made.add_column(name, justify="right")
    made.add_column("n", justify="right")
    made.add_column("must reach")
    made.add_column("")
    for figure in figures:
        if not figure.ours:
            continue
        verdict = {None: "", True: "[green]met[/green]", False: "[red]missed[/red]"}[figure.met]
        made.add_row(
            figure.name,
            figure.unit,
            escape(spread(figure.ours, figure.unit)),
            escape(spread(figure.theirs, figure.unit)),
            f"{figure.ratio:.1f}×" if figure.ratio is not None else "",
            f"{len(figure.ours)}/{len(figure.theirs)}" if figure.theirs else str(len(figure.ours)),
            wanted(figure),
            verdict,
        )
    return made


def as_json(figures: Mapping[str, Figure], machine: Mapping[str, Any], faults: Sequence[str]) -> dict[str, Any]:
    """Everything that was found, values included."""
    return {"machine": dict(machine), "figures": {k: _one(f) for k, f in figures.items()}, "faults": list(faults)}


def _one(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "unit": figure.unit,
        "greenroom": {**summary(figure.ours), "values": [round(value, 4) for value in figure.ours]},
        "processPerCall": {**summary(figure.theirs), "values": [round(value, 4) for value in figure.theirs]},
        "ratio": None if figure.ratio is None else round(figure.ratio, 2),
        "mustReach": wanted(figure),
        "met": figure.met,
    }


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write the JSON file."""
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
