"""Circuits, kept in Valkey or Redis; store.py puts it together with the other parts."""

from __future__ import annotations

from collections.abc import Mapping

from session.store.ports import CircuitPass, StartReport
from session.store.redis.connection import Connection


class RedisCircuits:
    """CircuitStore over a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def enter_circuit(self, circuit: str, *, session_id: str) -> CircuitPass:
        """Let a start pass, or say how long it has to wait."""
        wait, probe = await self._connection.run("enter_circuit", circuit=circuit, id=session_id)
        return CircuitPass(wait=float(wait), probe=bool(probe))

    async def report_circuit(self, circuit: str, report: StartReport, *, session_id: str) -> None:
        """Note what became of a start."""
        await self._connection.run("report_circuit", circuit=circuit, report=report, id=session_id)

    async def open_circuits(self, prefix: str) -> Mapping[str, float]:
        """The open circuits whose names begin so."""
        found = await self._connection.run("open_circuits", prefix=prefix)
        return {name: float(wait) for name, wait in zip(found[::2], found[1::2], strict=True)}
