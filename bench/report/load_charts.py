"""Draws a load, call by call, as a picture; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from bench.load.outcome import Outcome

AGENT, SOUND, ANSWER, BAD = "#2a9d6f", "#1f5f8b", "#8a6fb0", "#c0392b"
GREY = "#555555"


def draw(path: Path, title: str, outcomes: Sequence[Outcome], machine: Mapping[str, Any]) -> None:
    """Write the picture as a PNG: above, how each call began; below, how long its answers took."""
    talked = any(outcome.turns for outcome in outcomes)
    fig, axes = plt.subplots(
        2 if talked else 1, 1, figsize=(10, 7.5 if talked else 5), layout="constrained", squeeze=False
    )
    at_once = len({outcome.at for outcome in outcomes}) <= 1
    ranked = sorted(outcomes, key=lambda outcome: (outcome.agent is None, outcome.agent)) if at_once else outcomes
    across = [float(n) for n in range(1, len(ranked) + 1)] if at_once else [outcome.at for outcome in ranked]
    label = "callers, the one first served first" if at_once else "seconds from the beginning, when the call was placed"
    _beginnings(axes[0][0], ranked, across, label)
    if at_once:
        axes[0][0].xaxis.set_major_locator(MaxNLocator(integer=True))
    if talked:
        _answers(axes[1][0], ranked, across, label)
    described(fig, title, machine)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def described(fig: Any, title: str, machine: Mapping[str, Any]) -> None:
    """Head and foot of a picture."""
    fig.suptitle(title, fontsize=13, fontweight="bold")
    fig.supxlabel(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memoryGB']} GB · {machine['command']}",
        fontsize=8,
        color=GREY,
    )


def plain(axis: Any, title: str) -> None:
    """What all panels look like: from zero, no frame, a faint grid."""
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="#e5e5e5")
    axis.set_axisbelow(True)


def legend(axis: Any) -> None:
    """Above the panel, at the right, where no point is."""
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, frameon=False, fontsize=9, handletextpad=0.2)


def _beginnings(axis: Any, outcomes: Sequence[Outcome], across: Sequence[float], label: str) -> None:
    for name, colour, what in (("agent", AGENT, "agent in the room"), ("sound", SOUND, "first sound heard")):
        points = [
            (x, value) for x, one in zip(across, outcomes, strict=True) if (value := getattr(one, name)) is not None
        ]
        axis.scatter([x for x, _ in points], [y for _, y in points], s=22, color=colour, label=what, zorder=3)
    _marked(axis, across, [outcome.lost for outcome in outcomes], "x", "lost")
    _marked(axis, across, [outcome.doubled for outcome in outcomes], "D", "doubled")
    axis.set_xlabel(label, fontsize=9)
    axis.set_ylabel("seconds", fontsize=9)
    plain(axis, "From the request")
    legend(axis)


def _marked(axis: Any, across: Sequence[float], which: Sequence[bool], marker: str, label: str) -> None:
    """Red marks on the ground line for calls that went wrong."""
    points = [x for x, bad in zip(across, which, strict=True) if bad]
    if points:
        axis.scatter(points, [0.0] * len(points), s=60, color=BAD, marker=marker, label=label, zorder=4, clip_on=False)


def _answers(axis: Any, outcomes: Sequence[Outcome], across: Sequence[float], label: str) -> None:
    points = [
        (x, turn.answer)
        for x, outcome in zip(across, outcomes, strict=True)
        for turn in outcome.turns
        if turn.answer is not None
    ]
    axis.scatter([x for x, _ in points], [y for _, y in points], s=16, color=ANSWER, alpha=0.7)
    axis.set_xlabel(label, fontsize=9)
    axis.set_ylabel("seconds", fontsize=9)
    plain(axis, "From the end of what was said to the answer's first sound, each turn")
