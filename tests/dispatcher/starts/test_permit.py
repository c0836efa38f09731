from dataclasses import dataclass

import pytest
from limits.aio.storage import MemoryStorage

from dispatcher.errors import RateLimited, StartsFailing
from dispatcher.starts.circuit import StartCircuit
from dispatcher.starts.limits import RateLimits, Taken, read_rate
from dispatcher.starts.permit import Permit, Permits
from session.errors import SessionError, StoreUnavailable
from session.record import ErrorReason, State
from session.store.ports import CIRCUIT_FAILURES, CIRCUIT_SECONDS
from tests.dispatcher.fakes import Clock
from tests.dispatcher.gates import a_gate
from tests.session.making import NOON, a_session
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


@dataclass
class Stage:
    clock: Clock
    gate: Permits

    def permit(self) -> Permit:
        return self.gate.permit("203.0.113.9", owner="", user_id="ann")

    async def open_the_circuit(self) -> None:
        for each in range(CIRCUIT_FAILURES):
            failed = a_session(f"session_{each}", state=State.ERROR, error=ErrorReason.NOT_CLAIMED)
            await self.gate.circuit.failed(failed)

    async def until_a_probe_may_pass(self) -> None:
        await self.open_the_circuit()
        self.clock.seconds += CIRCUIT_SECONDS


@pytest.fixture
def stage() -> Stage:
    clock = Clock(NOON)
    return Stage(clock, a_gate(MemoryStore(clock), by_address="2/day"))


class LimitsWhoseStoreWentAway(RateLimits):
    async def give_back(self, taken: Taken) -> None:
        raise StoreUnavailable


async def take(permit: Permit) -> SessionError | None:
    return await permit.take("session_next", agent="default", deployment="")


async def test_a_start_within_the_limits_may_begin(stage: Stage) -> None:
    permit = stage.permit()
    assert await take(permit) is None
    assert len(permit.taken) == 1


async def test_one_too_many_may_not_and_leaves_the_probe_to_others(stage: Stage) -> None:
    await stage.until_a_probe_may_pass()
    for _ in range(2):
        await stage.gate.limits.take("203.0.113.9", owner="", user_id=None)
    assert isinstance(await take(stage.permit()), RateLimited)
    assert await stage.gate.circuit.admit("default", "", "session_other") is not None


async def test_a_start_that_the_circuit_refuses_is_not_counted(stage: Stage) -> None:
    await stage.open_the_circuit()
    for _ in range(5):
        permit = stage.permit()
        assert isinstance(await take(permit), StartsFailing)
        assert not permit.taken


async def test_what_is_given_back_is_there_for_the_next_and_only_once(stage: Stage) -> None:
    await stage.until_a_probe_may_pass()
    permit = stage.permit()
    assert await take(permit) is None
    assert permit.probe is not None
    for _ in range(2):
        await permit.give_back()
    assert await take(stage.permit()) is None
    assert isinstance(await take(stage.permit()), StartsFailing)
    assert len(await stage.gate.limits.take("203.0.113.9", owner="", user_id=None)) == 1
    with pytest.raises(RateLimited):
        await stage.gate.limits.take("203.0.113.9", owner="", user_id=None)


async def test_a_store_that_went_away_meanwhile_keeps_what_was_taken() -> None:
    limits = LimitsWhoseStoreWentAway(MemoryStorage(), by_address=read_rate("2/day"), by_user=None)
    permit = Permits(limits, StartCircuit(MemoryStore(Clock(NOON)))).permit("203.0.113.9", owner="", user_id=None)
    assert await take(permit) is None
    await permit.give_back()
