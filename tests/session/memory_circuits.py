"""The circuits of the memory store; memory_store.py has the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from session.store.ports import CIRCUIT_FAILURES, CIRCUIT_SECONDS, CircuitPass, StartReport


@dataclass(slots=True)
class _Circuit:
    failures: dict[str, float] = field(default_factory=dict)
    opened: float | None = None
    probe: tuple[str, float] | None = None


class MemoryCircuits:
    """CircuitStore. `now`: the store's clock, Unix seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._circuits: dict[str, _Circuit] = {}

    async def enter_circuit(self, circuit: str, *, session_id: str) -> CircuitPass:
        kept, now = self._circuits.get(circuit, _Circuit()), self._now()
        if kept.opened is None:
            return CircuitPass()
        wait = (kept.opened if kept.probe is None else kept.probe[1]) + CIRCUIT_SECONDS - now
        if 0 < wait <= CIRCUIT_SECONDS:  # more: the clock was put back
            return CircuitPass(wait=wait)
        kept.probe = session_id, now
        return CircuitPass(probe=True)

    async def report_circuit(self, circuit: str, report: StartReport, *, session_id: str) -> None:
        kept, now = self._circuits.setdefault(circuit, _Circuit()), self._now()
        if kept.opened is not None:
            if kept.probe is None or kept.probe[0] != session_id:
                return
            opened = {StartReport.FAILED: now, StartReport.READY: None, StartReport.UNUSED: kept.opened}[report]
            self._circuits[circuit] = _Circuit(opened=opened)
        elif report is StartReport.FAILED:
            kept.failures = {each: at for each, at in kept.failures.items() if at > now - CIRCUIT_SECONDS}
            kept.failures.setdefault(session_id, now)
            if len(kept.failures) >= CIRCUIT_FAILURES:
                self._circuits[circuit] = _Circuit(opened=now)

    async def open_circuits(self, prefix: str) -> Mapping[str, float]:
        now = self._now()
        begun = {
            name: kept.opened if kept.probe is None else kept.probe[1]
            for name, kept in self._circuits.items()
            if kept.opened is not None and name.startswith(prefix)
        }
        waits = {name: at + CIRCUIT_SECONDS - now for name, at in begun.items()}
        return {name: wait if wait <= CIRCUIT_SECONDS else 0.0 for name, wait in waits.items()}
