from dataclasses import dataclass
from typing import Any

import pytest

from dispatcher.errors import StartsFailing
from dispatcher.starts.circuit import Probe, StartCircuit, is_failed_start, name
from session.record import EndReason, ErrorReason, State
from session.store.ports import CIRCUIT_FAILURES, CIRCUIT_SECONDS
from tests.dispatcher.fakes import Clock
from tests.session.making import NOON, a_session
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


@dataclass
class Stage:
    clock: Clock
    circuit: StartCircuit

    async def fail(self, number: int, **changes: Any) -> None:
        for each in range(number):
            facts = {"state": State.ERROR, "error": ErrorReason.NOT_CLAIMED, **changes}
            await self.circuit.failed(a_session(f"session_{each}", **facts))


@pytest.fixture
def stage() -> Stage:
    clock = Clock(NOON)
    return Stage(clock, StartCircuit(MemoryStore(clock)))


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        *[
            pytest.param({"error": each}, each in ("no_worker", "not_claimed", "connect_failed"), id=each)
            for each in ErrorReason
        ],
        *[pytest.param({"state": State.ENDED, "end_reason": each}, False, id=each) for each in EndReason],
        pytest.param({"error": ErrorReason.NOT_CLAIMED, "ready_at": NOON}, False, id="a recovery that failed"),
        pytest.param({"state": State.STARTING}, False, id="a start under way"),
    ],
)
def test_only_starts_for_which_no_agent_could_be_had_count(changes: dict[str, Any], counts: bool) -> None:
    assert is_failed_start(a_session(**{"state": State.ERROR, **changes})) is counts


def test_no_two_agents_share_a_circuit() -> None:
    assert len({name("a", "b"), name("ab", ""), name("a", ""), name("", "a"), name('a", "b', "")}) == 5


async def test_an_open_circuit_says_when_the_next_start_may_be_tried(stage: Stage) -> None:
    await stage.fail(CIRCUIT_FAILURES - 1)
    assert await stage.circuit.admit("default", "", "session_next") is None
    await stage.fail(CIRCUIT_FAILURES)
    stage.clock.seconds += 20
    with pytest.raises(StartsFailing) as refused:
        await stage.circuit.admit("default", "", "session_next")
    assert refused.value.retry_after == CIRCUIT_SECONDS - 20


async def test_what_does_not_count_opens_nothing(stage: Stage) -> None:
    await stage.fail(2 * CIRCUIT_FAILURES, error=ErrorReason.PROVIDER_FAILED)
    assert await stage.circuit.admit("default", "", "session_next") is None


async def test_other_agents_and_deployments_go_on(stage: Stage) -> None:
    await stage.fail(CIRCUIT_FAILURES, agent="shop", deployment="blue")
    assert await stage.circuit.admit("shop", "green", "session_next") is None
    assert await stage.circuit.admit("default", "blue", "session_next") is None
    with pytest.raises(StartsFailing):
        await stage.circuit.admit("shop", "blue", "session_next")


async def test_the_probe_that_becomes_ready_closes_it(stage: Stage) -> None:
    await stage.fail(CIRCUIT_FAILURES)
    stage.clock.seconds += CIRCUIT_SECONDS
    assert await stage.circuit.admit("default", "", "session_probe") == Probe(name("default", ""), "session_probe")
    with pytest.raises(StartsFailing):
        await stage.circuit.admit("default", "", "session_next")
    await stage.circuit.succeeded(a_session("session_probe", state=State.READY))
    assert await stage.circuit.admit("default", "", "session_next") is None


async def test_the_probe_that_fails_keeps_it_open(stage: Stage) -> None:
    await stage.fail(CIRCUIT_FAILURES)
    stage.clock.seconds += CIRCUIT_SECONDS
    await stage.circuit.admit("default", "", "session_0")
    await stage.fail(1)
    with pytest.raises(StartsFailing) as refused:
        await stage.circuit.admit("default", "", "session_next")
    assert refused.value.retry_after == CIRCUIT_SECONDS


async def test_a_probe_that_is_given_back_is_another_starts(stage: Stage) -> None:
    await stage.fail(CIRCUIT_FAILURES)
    stage.clock.seconds += CIRCUIT_SECONDS
    probe = await stage.circuit.admit("default", "", "session_next")
    assert probe is not None
    await stage.circuit.give_back(probe)
    assert await stage.circuit.admit("default", "", "session_next") is not None
