"""The providers that a call may use for one thing, in order, and which of them are left alone for a while.

The processors of this package try candidates in turn; `pipeline.providers` makes the candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, runtime_checkable

S = TypeVar("S")

OPENING_FAILURES = 5  # within WINDOW_SECONDS
WINDOW_SECONDS = 60.0
OPEN_SECONDS = 60.0  # until one use is tried, and how long that use may take to succeed or fail


@dataclass(frozen=True, slots=True)
class Candidate(Generic[S]):
    """One provider that can serve a call.

    Attributes:
        name: The provider's name, for logs, health and metrics.
        key: Its circuit's name: kind, provider and a digest of the credential, never the credential.
        make: Makes the Pipecat service. It opens no connection; a spare's is called when the spare is needed.
    """

    name: str
    key: str
    make: Callable[[], S]


class Circuits(Protocol):
    """Which providers have failed so often that they are left alone; answered from memory, without waiting.

    Times are seconds of one clock that only goes forward (time.monotonic).
    """

    def allows(self, key: str, now: float) -> bool:
        """Whether a provider may be used now. Ask only to use it: a yes may be the one trial of an open circuit."""

    def failed(self, key: str, now: float) -> None:
        """Count a failure of a provider."""

    def worked(self, key: str, now: float) -> None:
        """Note that a provider has done what it was asked for: a trial closes its circuit by that."""


@runtime_checkable
class Fallback(Protocol):
    """What a processor of this package says with its own ErrorFrame.

    Attributes:
        used_up: All its candidates have failed: the call can't go on.
        failed: The name of the provider that failed last.
        permanent: Whether that one would fail again for certain.
    """

    used_up: bool
    failed: str
    permanent: bool


@dataclass(slots=True)
class Circuit:
    """What is known of one provider. `opened_at`, `tried_at`: None while closed, or while no trial is under way."""

    failures: list[float] = field(default_factory=list)
    opened_at: float | None = None
    tried_at: float | None = None

    def allows(self, now: float) -> bool:
        """Any use while closed; while open none for OPEN_SECONDS, then one in each OPEN_SECONDS."""
        if self.opened_at is None:
            return True
        since = self.opened_at if self.tried_at is None else self.tried_at
        if now - since < OPEN_SECONDS:
            return False
        self.tried_at = now
        return True

    def failed(self, now: float) -> None:
        """Open, if this failure is one too many or the trial's; failures of uses begun before it opened don't count."""
        if self.opened_at is not None:
            if self.tried_at is not None:
                self.open(now)
            return
        self.failures = [*(at for at in self.failures if now - at < WINDOW_SECONDS), now]
        if len(self.failures) >= OPENING_FAILURES:
            self.open(now)

    def worked(self) -> None:
        """Close, if a trial is under way."""
        if self.tried_at is not None:
            self.close()

    def open(self, now: float) -> None:
        """Allow no use for OPEN_SECONDS from now."""
        self.failures, self.opened_at, self.tried_at = [], now, None

    def close(self) -> None:
        """Allow every use."""
        self.failures, self.opened_at, self.tried_at = [], None, None


@dataclass(slots=True)
class OwnCircuits:
    """Circuits of one process alone, by key."""

    of: dict[str, Circuit] = field(default_factory=dict)

    def allows(self, key: str, now: float) -> bool:
        """As in Circuits."""
        circuit = self.of.get(key)
        return circuit is None or circuit.allows(now)

    def failed(self, key: str, now: float) -> None:
        """As in Circuits."""
        self.of.setdefault(key, Circuit()).failed(now)

    def worked(self, key: str, now: float) -> None:
        """As in Circuits."""
        circuit = self.of.get(key)
        if circuit is not None:
            circuit.worked()


def choose(
    candidates: Sequence[Candidate[S]], circuits: Circuits, now: float, *, left: Collection[str] = ()
) -> Candidate[S] | None:
    """The next candidate to use: the first one whose circuit allows it.

    A circuit that is open is no reason to use nothing: where none is allowed, it is the first that was not left yet.

    Args:
        candidates: In order.
        circuits: Which are left alone.
        now: Seconds, as in Circuits.
        left: Keys of those that have failed this call already.

    Returns:
        None when all were left: they are used up.
    """
    remaining = [candidate for candidate in candidates if candidate.key not in left]
    allowed = (candidate for candidate in remaining if circuits.allows(candidate.key, now))
    return next(allowed, remaining[0] if remaining else None)
