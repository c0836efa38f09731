"""CircuitStore in this process's memory: the part of MemoryStore that keeps circuits; knows no session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from session.store import CIRCUIT_FAILURES, CIRCUIT_SECONDS, Passage, Report


@dataclass(slots=True)
class _Circuit:
    """`failures`: when each session's start failed; then `opened`, and `probe`: since when one start is let through."""

    failures: dict[str, float] = field(default_factory=dict)
    opened: float | None = None
    probe: float | None = None


class MemoryCircuit(ABC):
    """What memory_store.py adds the clock to."""

    def __init__(self) -> None:
        super().__init__()
        self._circuits: dict[str, _Circuit] = {}

    async def pass_circuit(self, circuit: str) -> Passage:
        """Let a start pass, or say how long it has to wait."""
        kept, now = self._circuits.get(circuit, _Circuit()), self._now()
        if kept.opened is None:
            return Passage()
        wait = (kept.opened if kept.probe is None else kept.probe) + CIRCUIT_SECONDS - now
        if 0 < wait <= CIRCUIT_SECONDS:  # more: the clock was put back
            return Passage(wait=wait)
        kept.probe = now
        return Passage(probe=now)

    async def report_circuit(self, circuit: str, report: Report, *, session_id: str, at: float) -> None:
        """Note what became of a start."""
        kept, now = self._circuits.setdefault(circuit, _Circuit()), self._now()
        of_probe = kept.probe is not None and at >= kept.probe
        if report is Report.READY:
            if of_probe:
                del self._circuits[circuit]
        elif report is Report.UNUSED:
            kept.probe = None if kept.probe == at else kept.probe
        elif kept.opened is not None:
            if of_probe:
                self._circuits[circuit] = _Circuit(opened=now)
        else:
            kept.failures = {each: at for each, at in kept.failures.items() if at > now - CIRCUIT_SECONDS}
            kept.failures.setdefault(session_id, now)
            if len(kept.failures) >= CIRCUIT_FAILURES:
                self._circuits[circuit] = _Circuit(opened=now)

    @abstractmethod
    def _now(self) -> float: ...
