"""CircuitStore kept in Valkey or Redis: the part of RedisStore that keeps circuits; knows no driver and no session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from session.store.ports import CircuitPass, StartReport
from session.store.redis import circuit_scripts


class RedisCircuit(ABC):
    """What redis_store.py adds the connection to."""

    async def enter_circuit(self, circuit: str, *, session_id: str) -> CircuitPass:
        """Let a start pass, or say how long it has to wait."""
        wait, probe = await self._run(circuit_scripts.PASS_CIRCUIT, circuit=circuit, id=session_id)
        return CircuitPass(wait=float(wait), probe=bool(probe))

    async def report_circuit(self, circuit: str, report: StartReport, *, session_id: str) -> None:
        """Note what became of a start."""
        await self._run(circuit_scripts.REPORT_CIRCUIT, circuit=circuit, report=report, id=session_id)

    @abstractmethod
    async def _run(self, script: str, **arguments: Any) -> Any: ...
