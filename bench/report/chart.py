"""Draws what was measured as a picture; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from bench.report.report import BASELINE, shown
from bench.report.stats import Figure, percentile

OURS, THEIRS, TARGET = "#2a9d6f", "#9aa5b1", "#c0392b"
PANELS = (
    ("Time, seconds (logarithmic)", ("agent", "greeting", "burst", "turn", "barge_in"), True),
    ("Memory of its own, MB", ("own_idle", "own_silent", "own_talking"), False),
    ("Processor, cores", ("cpu_silent", "cpu_talking"), False),
)


def draw(path: Path, figures: Mapping[str, Figure], machine: Mapping[str, Any]) -> None:
    """Write the picture as a PNG: medians as bars, the 95th percentile as a line, targets as red marks."""
    heights = [len(names) for _, names, _ in PANELS]
    fig, axes = plt.subplots(
        len(PANELS), 1, figsize=(10, 8.5), height_ratios=heights, layout="constrained", squeeze=True
    )
    for axis, (title, names, logarithmic) in zip(axes, PANELS, strict=True):
        _panel(axis, title, [figures[name] for name in names if figures[name].ours], logarithmic=logarithmic)
    if axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(loc="upper right", frameon=False)
    fig.suptitle("Greenroom, side by side with a process per call", fontsize=14, fontweight="bold")
    fig.supxlabel(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memoryGB']} GB · Linux {machine['kernel']} · "
        f"Python {machine['python']}\nbars: medians · lines: 95th percentile · red marks: what the median must reach",
        fontsize=8,
        color="#555555",
    )
    fig.savefig(path, dpi=130)
    plt.close(fig)


def _panel(axis: Any, title: str, figures: Sequence[Figure], *, logarithmic: bool) -> None:
    """One row of bars a figure, ours above theirs."""
    axis.set_title(title, loc="left", fontsize=10)
    if logarithmic:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
    most = max((max([*figure.ours, *figure.theirs]) for figure in figures), default=1.0)
    for row, figure in enumerate(figures):
        for target in figure.targets:
            if target.of == "p50":
                axis.plot([target.at_most] * 2, [row - 0.4, row], color=TARGET, linewidth=2)
        ratio = f"  ({figure.ratio:.1f}×)" if figure.ratio is not None else ""
        _bar(axis, row - 0.2, figure.ours, figure.unit, OURS, label="Greenroom" if row == 0 else None)
        _bar(axis, row + 0.2, figure.theirs, figure.unit, THEIRS, label=BASELINE if row == 0 else None, note=ratio)
    axis.set_xlim(0.1 if logarithmic else 0, most * (2.2 if logarithmic else 1.15))
    axis.set_yticks(range(len(figures)), [_label(figure) for figure in figures], fontsize=9)
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", color="#e5e5e5")
    axis.set_axisbelow(True)


def _bar(
    axis: Any, y: float, values: Sequence[float], unit: str, colour: str, *, label: str | None, note: str = ""
) -> None:
    if not values:
        return
    middle, high = percentile(values, "p50"), percentile(values, "p95")
    axis.barh(y, middle, height=0.36, color=colour, label=label)
    axis.plot([middle, high], [y, y], color="#333333", linewidth=1.2)
    axis.annotate(
        shown(middle, unit) + note,
        (high, y),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.8},
    )


def _label(figure: Figure) -> str:
    """Its name on two lines; what the panel's title says already is left out."""
    if " → " in figure.name:
        return figure.name.replace(" → ", "\n→ ")
    return figure.name.partition(", ")[2]
