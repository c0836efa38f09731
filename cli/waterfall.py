"""Lists the start of a call in milliseconds, as the server and the caller saw it, for `greenroom call`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from rich.table import Table

BAR = 30  # characters of the longest bar


@dataclass(frozen=True)
class WaterfallStep:
    """Something that had happened `ms` milliseconds after the request.

    The server counts from when the request came in, the caller from when it was sent: they differ by the way there.
    """

    name: str
    ms: float
    by: Literal["server", "caller"]


def merged(server: Iterable[tuple[str, float]], caller: Mapping[str, float | None]) -> list[WaterfallStep]:
    """Both sides' steps in order of time; what the caller didn't see (None) is left out."""
    steps = [WaterfallStep(name, ms, "server") for name, ms in server]
    steps += [WaterfallStep(name, ms, "caller") for name, ms in caller.items() if ms is not None]
    return sorted(steps, key=lambda step: step.ms)


def table(steps: Iterable[WaterfallStep]) -> Table:
    """The steps with a bar each."""
    steps = list(steps)
    longest = max((step.ms for step in steps), default=0.0) or 1.0
    shown = Table(title="Start of the call", title_justify="left", box=None, padding=(0, 1))
    shown.add_column("step")
    shown.add_column("seen by", style="dim")
    shown.add_column("ms", justify="right")
    shown.add_column("")
    for step in steps:
        bar = "█" * max(1, round(BAR * max(step.ms, 0.0) / longest))
        colour = "green" if step.by == "caller" else "cyan"
        shown.add_row(step.name, step.by, f"{step.ms:.0f}", f"[{colour}]{bar}[/{colour}]")
    return shown
