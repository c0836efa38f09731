"""What every store must do about circuits, in memory and in a real Valkey alike."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from session.store.ports import (
    CIRCUIT_FAILURES,
    CIRCUIT_KEPT_SECONDS,
    CIRCUIT_SECONDS,
    CircuitPass,
    CircuitStore,
    StartReport,
)
from session.store.redis.store import open_store
from tests.session.making import NOON
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

OPEN = CIRCUIT_SECONDS
PROBE = CircuitPass(probe=True)


@dataclass
class Clock:
    seconds: float

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Circuit:
    """One circuit in a store; `later` lets seconds pass for it."""

    store: CircuitStore
    clock: Clock

    async def later(self, seconds: float) -> None:
        self.clock.seconds += seconds

    async def passage(self, session_id: str = "next") -> CircuitPass:
        return await self.store.enter_circuit("a", session_id=session_id)

    async def report(self, session_id: str, report: StartReport) -> None:
        await self.store.report_circuit("a", report, session_id=session_id)

    async def fail(self, *sessions: str) -> None:
        for each in sessions:
            await self.report(each, StartReport.FAILED)

    async def opened(self) -> None:
        await self.fail(*map(str, range(CIRCUIT_FAILURES)))
        assert (await self.passage()).wait > 0

    async def probe(self) -> None:
        """Let the session "probe" through."""
        await self.opened()
        await self.later(OPEN + 1)
        assert await self.passage("probe") == PROBE


@pytest.fixture(params=["memory", "redis"])
async def circuit(request: pytest.FixtureRequest, valkey_url: str, namespace: str) -> AsyncIterator[Circuit]:
    if request.param == "memory":
        clock = Clock(NOON)
        yield Circuit(MemoryStore(clock), clock)
        return
    moved = Clock(0.0)
    async with open_store(valkey_url, namespace=namespace, keep_seconds=60, clock_offset=moved) as store:
        yield Circuit(store, moved)


async def test_a_closed_circuit_lets_every_start_pass(circuit: Circuit) -> None:
    await circuit.fail(*map(str, range(CIRCUIT_FAILURES - 1)))
    assert [await circuit.passage() for _ in range(3)] == [CircuitPass()] * 3


async def test_enough_failures_open_it_for_its_time(circuit: Circuit) -> None:
    await circuit.opened()
    assert OPEN - 5 < (await circuit.passage()).wait <= OPEN
    await circuit.later(OPEN - 10)
    assert 5 < (await circuit.passage()).wait <= 10


async def test_a_session_counts_once_however_often_it_is_reported(circuit: Circuit) -> None:
    await circuit.fail(*["same"] * (2 * CIRCUIT_FAILURES))
    assert await circuit.passage() == CircuitPass()


async def test_failures_that_are_long_ago_do_not_count(circuit: Circuit) -> None:
    await circuit.fail(*map(str, range(CIRCUIT_FAILURES - 1)))
    await circuit.later(CIRCUIT_SECONDS + 1)
    await circuit.fail("late")
    assert await circuit.passage() == CircuitPass()


async def test_failures_spread_over_most_of_the_time_do(circuit: Circuit) -> None:
    for each in range(CIRCUIT_FAILURES):
        await circuit.fail(str(each))
        await circuit.later(CIRCUIT_SECONDS / CIRCUIT_FAILURES)
    assert (await circuit.passage()).wait > 0


async def test_another_circuit_is_another(circuit: Circuit) -> None:
    await circuit.opened()
    assert await circuit.store.enter_circuit("b", session_id="next") == CircuitPass()


async def test_exactly_one_of_many_is_let_through_after_its_time(circuit: Circuit) -> None:
    await circuit.opened()
    await circuit.later(OPEN + 1)
    passages = await asyncio.gather(*(circuit.passage(str(each)) for each in range(20)))
    assert passages.count(PROBE) == 1
    assert [each.wait > 0 for each in passages].count(True) == 19


async def test_the_probes_success_closes_it(circuit: Circuit) -> None:
    await circuit.probe()
    await circuit.report("probe", StartReport.READY)
    assert await circuit.passage() == CircuitPass()
    await circuit.fail(*map(str, range(CIRCUIT_FAILURES - 1)))
    assert await circuit.passage() == CircuitPass()


async def test_the_probes_failure_opens_it_for_its_time_again(circuit: Circuit) -> None:
    await circuit.probe()
    for _ in range(2):
        await circuit.later(20)
        await circuit.fail("probe")
    assert OPEN - 25 < (await circuit.passage()).wait <= OPEN - 20
    await circuit.later(OPEN - 19)
    assert await circuit.passage() == PROBE


@pytest.mark.parametrize("report", StartReport)
async def test_while_a_probe_is_under_way_nobody_else_changes_anything(circuit: Circuit, report: StartReport) -> None:
    await circuit.probe()
    for each in ("0", "other"):
        await circuit.report(each, report)
    await circuit.later(CIRCUIT_SECONDS - 10)
    assert 5 < (await circuit.passage()).wait <= 10


@pytest.mark.parametrize("report", [StartReport.READY, StartReport.FAILED])
async def test_while_it_is_open_nothing_changes_it(circuit: Circuit, report: StartReport) -> None:
    await circuit.opened()
    await circuit.later(OPEN - 10)
    await circuit.report("late", report)
    assert 5 < (await circuit.passage()).wait <= 10


async def test_a_probe_that_says_nothing_makes_way_after_its_time_and_is_no_longer_heeded(circuit: Circuit) -> None:
    await circuit.probe()
    await circuit.later(CIRCUIT_SECONDS - 10)
    assert (await circuit.passage()).wait > 0
    await circuit.later(11)
    assert await circuit.passage("second") == PROBE
    await circuit.report("probe", StartReport.READY)
    assert (await circuit.passage()).wait > 0
    await circuit.report("second", StartReport.READY)
    assert await circuit.passage() == CircuitPass()


async def test_a_probe_that_was_not_used_makes_way_at_once(circuit: Circuit) -> None:
    await circuit.probe()
    await circuit.report("other", StartReport.UNUSED)
    assert (await circuit.passage()).wait > 0
    await circuit.report("probe", StartReport.UNUSED)
    assert await circuit.passage() == PROBE


async def test_a_clock_that_was_put_back_holds_no_start_up(circuit: Circuit) -> None:
    await circuit.opened()
    await circuit.later(-3600)
    assert await circuit.passage() == PROBE


@pytest.mark.parametrize("report", [StartReport.READY, StartReport.UNUSED])
async def test_a_success_of_a_closed_circuit_forgives_nothing(circuit: Circuit, report: StartReport) -> None:
    await circuit.fail(*map(str, range(CIRCUIT_FAILURES - 1)))
    await circuit.report("0", report)
    await circuit.fail("last")
    assert (await circuit.passage()).wait > 0


async def test_open_circuits_are_told_with_the_time_until_their_probe(circuit: Circuit) -> None:
    store = circuit.store
    assert await store.open_circuits("") == {}
    await circuit.opened()
    await store.report_circuit("b", StartReport.FAILED, session_id="1")
    await circuit.later(OPEN - 10)
    assert 5 < (await store.open_circuits(""))["a"] <= 10
    await circuit.later(20)
    assert -15 < (await store.open_circuits("a"))["a"] <= -10
    assert await store.open_circuits("b") == {}


async def test_a_circuit_on_probe_is_open_until_the_probe_closes_it(circuit: Circuit) -> None:
    await circuit.probe()
    assert OPEN - 5 < (await circuit.store.open_circuits("a"))["a"] <= OPEN
    await circuit.report("probe", StartReport.READY)
    assert await circuit.store.open_circuits("a") == {}


async def test_a_clock_that_was_put_back_makes_nobody_wait_for_a_probe(circuit: Circuit) -> None:
    await circuit.opened()
    await circuit.later(-3600)
    assert await circuit.store.open_circuits("a") == {"a": 0}


async def test_an_open_circuit_outlives_its_time_in_the_store(valkey_url: str, namespace: str) -> None:
    async with (
        open_store(valkey_url, namespace=namespace, keep_seconds=60) as store,
        Redis.from_url(valkey_url, decode_responses=True) as client,
    ):
        for each in range(CIRCUIT_FAILURES):
            await store.report_circuit("a", StartReport.FAILED, session_id=str(each))
        left = await client.ttl(f"greenroom:{namespace}:circuit:a")
        assert CIRCUIT_KEPT_SECONDS - 10 < left <= CIRCUIT_KEPT_SECONDS
        assert set(await store.open_circuits("a")) == {"a"}
        await client.delete(f"greenroom:{namespace}:circuit:a")  # as if it had expired
        assert await store.open_circuits("a") == {}
        assert not await client.exists(f"greenroom:{namespace}:open_circuits")
