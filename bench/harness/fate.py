"""What became of a start, whoever made it: was it accepted, did its agent come and stay; places none."""

from __future__ import annotations

from dataclasses import dataclass

from bench.harness.overlap import OVERLAP_SECONDS


@dataclass(kw_only=True)
class Fate:
    """One start.

    Attributes:
        session: Its id; None when no request was accepted.
        refusals: Requests that were answered “not now, try again”.
        refused: Whether none was accepted in the end: who asked knows, and nothing was promised.
        queued: Whether the accepted one had to wait its turn.
        attempt: Dispatches that it took.
        overlap: Seconds for which more than one agent was there at a time.
        failed: Why it didn't go as it should; None when it did.
    """

    session: str | None = None
    refusals: int = 0
    refused: bool = False
    queued: bool = False
    attempt: int | None = None
    overlap: float = 0.0
    failed: str | None = None

    @property
    def lost(self) -> bool:
        """Whether it failed, and not because it was refused."""
        return not self.refused and self.failed is not None

    @property
    def doubled(self) -> bool:
        """Whether two agents were there for longer than a recovery explains."""
        return self.overlap > OVERLAP_SECONDS
