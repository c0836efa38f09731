"""Draws how soon answers came and how often too soon, two ways of ending a turn side by side; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from bench.report.load_charts import described, legend, plain
from bench.report.stats import percentile
from bench.turns.figures import AFTER, BEFORE, PLACES, TARGETS, Answers, early, times
from bench.turns.sounds import HESITATION_SECONDS

COLOURS = {BEFORE: "#9aa5b1", AFTER: "#2a9d6f"}
TARGET = "#c0392b"


def draw(path: Path, answers: Answers, machine: Mapping[str, Any]) -> None:
    """Write the picture as a PNG: above, each answer's time; below, answers that came too early."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(10, 7.5), height_ratios=(3, 1.3), layout="constrained")
    _times(above, answers)
    _early(below, answers)
    described(fig, "When a human caller is answered: end of speech → first sound", machine)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def _times(axis: Any, answers: Answers) -> None:
    for name, given in answers.items():
        found = times(given)
        if not found:
            continue
        marks = ", ".join(f"{place} {percentile(found, place):.2f} s" for place in PLACES)
        across = [(number + 0.5) / len(found) for number in range(len(found))]
        axis.plot(across, found, "o-", color=COLOURS[name], markersize=4, linewidth=1, label=f"{name}: {marks}")
    for place, target in TARGETS.items():
        share = float(place[1:]) / 100
        axis.plot([share - 0.04, share + 0.04], [target] * 2, color=TARGET, linewidth=2)
        axis.annotate(
            f"{place} ≤ {target:g}", (share, target), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=9
        )
    axis.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axis.set_xlim(0, 1.02)
    plain(axis, "Seconds, the soonest first")
    if axis.get_legend_handles_labels()[0]:
        legend(axis)


def _early(axis: Any, answers: Answers) -> None:
    for row, name in enumerate(answers):
        for column, hesitates in enumerate((False, True)):
            count, of = early(answers[name], hesitates=hesitates)
            at = column + 0.2 * (1 if row else -1)
            axis.bar(at, count, width=0.36, color=COLOURS[name])
            axis.annotate(f"{count} of {of}", (at, count), xytext=(0, 3), textcoords="offset points", ha="center")
    axis.set_xticks([0, 1], ["whole utterances", f"a hesitation of {HESITATION_SECONDS:g} s in the middle"])
    axis.margins(y=0.25)
    plain(axis, "Answered before the caller was done")
