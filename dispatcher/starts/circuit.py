"""Stops the starts of an agent for a while when they fail in a row; permit.py asks, and ends and events report."""

from __future__ import annotations

import json
from dataclasses import dataclass

from dispatcher.errors import StartsFailing
from session.record import ErrorReason, Session
from session.store.ports import CircuitStore, StartReport

COUNTED = frozenset({ErrorReason.NO_WORKER, ErrorReason.NOT_CLAIMED, ErrorReason.CONNECT_FAILED})


@dataclass(frozen=True, slots=True)
class Probe:
    """The one start that is let through an open circuit."""

    circuit: str
    session_id: str


@dataclass(frozen=True, slots=True)
class StartCircuit:
    """Opens after CIRCUIT_FAILURES failures within CIRCUIT_SECONDS, and lets one start through every so often after.

    Every method may raise StoreUnavailable.
    """

    store: CircuitStore

    async def admit(self, agent: str, deployment: str, session_id: str) -> Probe | None:
        """Let a start pass; a probe where everything depends on this one.

        Raises:
            StartsFailing: it may not, and when the next one may.
        """
        circuit = name(agent, deployment)
        passage = await self.store.enter_circuit(circuit, session_id=session_id)
        if passage.wait > 0:
            raise StartsFailing(retry_after=passage.wait)
        return Probe(circuit, session_id) if passage.probe else None

    async def give_back(self, probe: Probe) -> None:
        """Let another start be the probe: this one came to nothing, for reasons of its own."""
        await self.store.report_circuit(probe.circuit, StartReport.UNUSED, session_id=probe.session_id)

    async def failed(self, session: Session) -> None:
        """Count the end of a session, if it is that of a start that failed after all its tries; twice counts once."""
        if is_failed_start(session):
            await self._report(session, StartReport.FAILED)

    async def succeeded(self, session: Session) -> None:
        """Close the circuit that this session, which is ready now, was let through."""
        await self._report(session, StartReport.READY)

    async def _report(self, session: Session, report: StartReport) -> None:
        circuit = name(session.agent, session.deployment)
        await self.store.report_circuit(circuit, report, session_id=session.id)


def is_failed_start(session: Session) -> bool:
    """Whether no agent could be had for this session: not one that came and was lost, and nobody's decision."""
    return session.error in COUNTED and session.ready_at is None


def name(agent: str, deployment: str) -> str:
    """The circuit of an agent in a deployment; no two have the same."""
    return json.dumps([agent, deployment])
