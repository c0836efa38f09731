"""What a start needs before it may take a seat: room within the rate limits, and a closed circuit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from dispatcher.errors import RateLimited, StartsFailing
from dispatcher.starts.circuit import Probe, StartCircuit
from dispatcher.starts.limits import KeyLimit, RateLimits, Taken
from session.errors import SessionError, StoreUnavailable


@dataclass(slots=True)
class Permit:
    """What one start needs of the rate limits and the circuit.

    Attributes:
        limits: by which it is counted.
        circuit: which it must find closed.
        address: where it comes from.
        owner: whose user it is.
        user_id: the user; None: nobody in particular.
        by_key: the limit of its API key, in place of that of its address; None: it has no key.
        taken: by which limits it is counted.
        probe: whether everything depends on this start.
    """

    limits: RateLimits
    circuit: StartCircuit
    address: str
    owner: str
    user_id: str | None
    by_key: KeyLimit | None = None
    taken: Taken = ()
    probe: Probe | None = None

    async def take(self, session_id: str, *, agent: str, deployment: str) -> SessionError | None:
        """Count the start before it is made, so that two replicas cannot both make the last one.

        Args:
            session_id: the session that may begin.
            agent: which agent is asked for.
            deployment: whose workers are asked.

        Returns:
            Why no new session may begin, with nothing taken; None: one may, and whoever begins none gives this back.

        Raises:
            StoreUnavailable: the store is away.
        """
        try:
            self.taken = await self.limits.take(
                self.address, owner=self.owner, user_id=self.user_id, by_key=self.by_key
            )
            self.probe = await self.circuit.admit(agent, deployment, session_id)
        except (RateLimited, StartsFailing) as refusal:
            await self.give_back()
            return refusal
        return None

    async def give_back(self) -> None:
        """Return it, once: no new session has begun. While the store is away it is kept, and runs out by itself."""
        taken, probe = self.taken, self.probe
        self.taken, self.probe = (), None
        with suppress(StoreUnavailable):
            await self.limits.give_back(taken)
            if probe is not None:
                await self.circuit.give_back(probe)


@dataclass(frozen=True, slots=True)
class Permits:
    """Permits over these parts."""

    limits: RateLimits
    circuit: StartCircuit

    def permit(self, address: str, *, owner: str, user_id: str | None, by_key: KeyLimit | None = None) -> Permit:
        """For one start from this address, of this owner's user, by this key's limit; nothing is taken yet."""
        return Permit(self.limits, self.circuit, address, owner, user_id, by_key)
