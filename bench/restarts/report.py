"""What many starts around restarts came to: rows, counts, sentences, a picture; starts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from bench.report.load_charts import AGENT, BAD, SOUND, described, legend, plain
from bench.report.tables import Row
from bench.restarts.start import StartFate


@dataclass(frozen=True)
class Restart:
    """One restart of the worker: when (seconds from the beginning), how, and seconds until all was ready again."""

    at: float
    kind: str
    back: float | None


def passed(starts: Sequence[StartFate]) -> bool:
    """Whether no start was lost and none doubled."""
    return not any(start.lost or start.doubled for start in starts)


def rows(starts: Sequence[StartFate], restarts: Sequence[Restart]) -> list[Row]:
    """The figures of the table."""

    def ready(*, around: bool) -> list[float]:
        return [start.ready for start in starts if start.around == around and start.ready is not None]

    back = [restart.back for restart in restarts if restart.back is not None]
    return [
        Row("accepted → ready with one agent, in the quiet", "s", ready(around=False)),
        Row("accepted → ready with one agent, around a restart", "s", ready(around=True)),
        Row("worker restarted → a caller can be served", "s", back),
    ]


def counts(starts: Sequence[StartFate], restarts: Sequence[Restart]) -> dict[str, int]:
    """How many starts ended in which way."""
    return {
        "starts": len(starts),
        "around a restart": sum(start.around for start in starts),
        "restarts": len(restarts),
        "accepted": sum(start.session is not None for start in starts),
        "lost": sum(start.lost for start in starts),
        "doubled": sum(start.doubled for start in starts),
        "refused for good": sum(start.refused for start in starts),
        "asked to try again": sum(start.refusals for start in starts),
        "queued": sum(start.queued for start in starts),
        "dispatched again around a restart": sum((start.attempt or 0) > 1 and start.around for start in starts),
        "dispatched again in the quiet": sum((start.attempt or 0) > 1 and not start.around for start in starts),
    }


def faults(starts: Sequence[StartFate]) -> list[str]:
    """A sentence for each start that went wrong."""
    found: list[str] = []
    for start in starts:
        when = f"{start.at:.1f} s, {'around a restart' if start.around else 'in the quiet'}"
        if start.failed is not None:
            found.append(f"{when}, {start.session or 'not accepted'}: {start.failed}")
        if start.doubled:
            found.append(f"{when}, {start.session}: two agents for {start.overlap:.1f} s")
    return found


def as_json(starts: Sequence[StartFate], restarts: Sequence[Restart]) -> dict[str, Any]:
    """Every start and restart with all that is known of it."""
    return {
        "starts": [{**asdict(start), "lost": start.lost, "doubled": start.doubled} for start in starts],
        "restarts": [asdict(restart) for restart in restarts],
    }


def draw(
    path: Path, title: str, starts: Sequence[StartFate], restarts: Sequence[Restart], machine: Mapping[str, Any]
) -> None:
    """Write the picture as a PNG: each start at its time and how long it took; lines where the worker was restarted."""
    fig, axis = plt.subplots(figsize=(11, 5.5), layout="constrained")
    for kind, style in (("SIGTERM", "--"), ("SIGKILL", "-")):
        for number, restart in enumerate(each for each in restarts if each.kind == kind):
            label = f"worker: {kind}" if number == 0 else None
            axis.axvline(restart.at, color="#c9a227", linestyle=style, linewidth=1, label=label)
    for around, colour, what in ((False, AGENT, "start in the quiet"), (True, SOUND, "start around a restart")):
        points = [(one.at, one.ready) for one in starts if one.around == around and one.ready is not None]
        axis.scatter([x for x, _ in points], [y for _, y in points], s=18, color=colour, label=what, zorder=3)
    for which, marker, what in (("lost", "x", "lost"), ("doubled", "D", "doubled")):
        bad = [start.at for start in starts if getattr(start, which)]
        if bad:
            axis.scatter(bad, [0.0] * len(bad), s=60, color=BAD, marker=marker, label=what, zorder=4, clip_on=False)
    axis.set_xlabel("seconds from the beginning, when the start was asked for", fontsize=9)
    axis.set_ylabel("seconds until ready with one agent", fontsize=9)
    plain(axis, "From the accepted request")
    legend(axis)
    described(fig, title, machine)
    fig.savefig(path, dpi=130)
    plt.close(fig)
