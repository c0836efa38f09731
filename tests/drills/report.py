"""The times that the drills took, for the table at the end of a run; knows no drill."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Report:
    """What was measured, by drill and figure, in seconds."""

    figures: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, drill: str, figure: str, seconds: float) -> None:
        """Note a measured time."""
        self.figures.setdefault((drill, figure), []).append(seconds)

    def lines(self) -> list[str]:
        """The table, a line a figure."""
        rows = [
            f"{drill:<46} {figure:<34} {sorted(values)[len(values) // 2]:7.2f} {max(values):7.2f} {len(values):4d}"
            for (drill, figure), values in self.figures.items()
        ]
        return [f"{'drill':<46} {'seconds until':<34} {'median':>7} {'max':>7} {'n':>4}", *rows]
