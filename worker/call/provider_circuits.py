"""Which providers one call leaves alone: its own view of the circuits that all calls of all workers share.

The fallback processors ask it without waiting. What they report goes to the store beside the call, and the view is read
anew when the call starts, every LOOK_SECONDS, and after each failure. A store that is away changes nothing for the
call: then its own failures count, and trials are free.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pipeline.fallback.candidates import OPEN_SECONDS, OwnCircuits
from runtime.background import Background
from session.errors import StoreUnavailable
from session.provider_circuits import PREFIX, circuit_of, key_of
from session.store.ports import CircuitStore, StartReport

LOOK_SECONDS = 5.0


@dataclass(slots=True)
class Trial:
    """The one use of an open circuit that is this call's; `until`: seconds of the call's clock."""

    id: str
    until: float
    used: bool = False


class ProviderCircuits:
    """Circuits, as `pipeline.fallback.candidates` has them, over the store.

    Args:
        store: where they are kept.
        job: whose call it is; no two have the same.
        clock: seconds that only go forward.
    """

    def __init__(self, store: CircuitStore, job: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._job, self._clock = store, job, clock
        self._tasks = Background(f"job {job}")
        self._own = OwnCircuits()
        self._open: dict[str, float] = {}  # by key: from when a trial may be asked for
        self._trials: dict[str, Trial] = {}
        self._asking: set[str] = set()
        self._reports = 0

    def allows(self, key: str, now: float) -> bool:
        """As in Circuits. The trial of a circuit that is open is asked for here, and is this call's at its next try."""
        if key not in self._open:
            return self._own.allows(key, now)
        trial = self._trials.get(key)
        if trial is not None and now < trial.until:
            allowed, trial.used = not trial.used, True
            return allowed
        if now >= self._open[key] and key not in self._asking:
            self._asking.add(key)
            self._tasks.start(self._ask(key), "ask for a trial")
        return False

    def failed(self, key: str, now: float) -> None:
        """As in Circuits."""
        self._own.failed(key, now)
        trial = self._trials.pop(key, None)
        self._tasks.start(self._report(key, StartReport.FAILED, self._next() if trial is None else trial.id), "report")

    def worked(self, key: str, now: float) -> None:
        """As in Circuits; only the success of a trial is told to others."""
        self._own.worked(key, now)
        trial = self._trials.pop(key, None)
        if trial is not None:
            self._open.pop(key, None)
            self._own.of.pop(key, None)
            self._tasks.start(self._report(key, StartReport.READY, trial.id), "report")

    async def look(self) -> None:
        """Read which circuits are open, unless the store is away."""
        with suppress(StoreUnavailable):
            await self._look()

    async def close(self) -> None:
        """Report no more, and let another call have a trial that this one did not use."""
        await self._tasks.close()
        for key, trial in self._trials.items():
            if not trial.used:
                with suppress(StoreUnavailable):
                    await self._store.report_circuit(circuit_of(key), StartReport.UNUSED, session_id=trial.id)

    async def _look(self) -> None:
        found = await self._store.open_circuits(PREFIX)
        now = self._clock()
        self._open = {key_of(circuit): now + wait for circuit, wait in found.items()}
        for key in [key for key, circuit in self._own.of.items() if circuit.opened_at is not None]:
            if key not in self._open:  # others have found that it works
                del self._own.of[key]

    async def _report(self, key: str, report: StartReport, report_id: str) -> None:
        with suppress(StoreUnavailable):
            await self._store.report_circuit(circuit_of(key), report, session_id=report_id)
            await self._look()

    async def _ask(self, key: str) -> None:
        trial = Trial(self._next(), self._clock() + OPEN_SECONDS)
        try:
            passage = await self._store.enter_circuit(circuit_of(key), session_id=trial.id)
        except StoreUnavailable:
            self._trials[key] = trial  # nobody can say whose trial it is
        else:
            if passage.probe:
                self._trials[key] = trial
            elif passage.wait > 0:
                self._open[key] = self._clock() + passage.wait
            else:
                self._open.pop(key, None)
        finally:
            self._asking.discard(key)

    def _next(self) -> str:
        self._reports += 1
        return f"{self._job}/{self._reports}"
