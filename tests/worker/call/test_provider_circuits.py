"""One call's view of the circuits that all calls share: what one learns the others know, and no store is waited for."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pipeline.fallback.candidates import OPEN_SECONDS, OPENING_FAILURES
from session.errors import StoreUnavailable
from session.provider_circuits import circuit_of
from session.store.ports import CircuitPass, StartReport
from tests.dispatcher.fakes import Clock
from tests.session.making import NOON
from tests.session.memory_store import MemoryStore
from worker.call.provider_circuits import ProviderCircuits

pytestmark = pytest.mark.anyio

GROQ = "llm/groq/0f"


class LosableStore(MemoryStore):
    """A store that can be `away`, and counts how often it is asked for a passage."""

    away = False
    asked = 0

    async def enter_circuit(self, circuit: str, *, session_id: str) -> CircuitPass:
        self.asked += 1
        self._there()
        return await super().enter_circuit(circuit, session_id=session_id)

    async def report_circuit(self, circuit: str, report: StartReport, *, session_id: str) -> None:
        self._there()
        await super().report_circuit(circuit, report, session_id=session_id)

    async def open_circuits(self, prefix: str) -> Mapping[str, float]:
        self._there()
        return await super().open_circuits(prefix)

    def _there(self) -> None:
        if self.away:
            raise StoreUnavailable


class Stage:
    """Some calls over one store, whose clocks run alike."""

    def __init__(self) -> None:
        self.clock = Clock(NOON)
        self.store = LosableStore(self.clock)
        self._calls: list[ProviderCircuits] = []

    def call(self) -> ProviderCircuits:
        call = ProviderCircuits(self.store, f"job_{len(self._calls)}", self.clock)
        self._calls.append(call)
        return call

    def allows(self, call: ProviderCircuits) -> bool:
        return call.allows(GROQ, self.clock())

    async def settled(self) -> None:
        """What the calls do beside is done, and each has looked again."""
        for call in self._calls:
            await call._tasks.settled()
        for call in self._calls:
            await call.look()

    async def fails(self, *calls: ProviderCircuits) -> None:
        for call in calls:
            call.failed(GROQ, self.clock())
        await self.settled()

    async def opened(self, call: ProviderCircuits) -> None:
        await self.fails(*[call] * OPENING_FAILURES)

    async def tries(self, call: ProviderCircuits) -> bool:
        """Whether the call gets a trial: asked for at its first try, used at its second."""
        assert not self.allows(call)
        await call._tasks.settled()
        return self.allows(call)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_failures_of_several_calls_open_the_circuit_for_all(stage: Stage) -> None:
    calls = [stage.call() for _ in range(OPENING_FAILURES)]
    await stage.fails(*calls[:-1])
    assert all(stage.allows(call) for call in calls)
    await stage.fails(calls[-1])
    assert not any(stage.allows(call) for call in calls)
    assert all(call.allows("llm/openai/0f", stage.clock()) for call in calls)


async def test_a_call_that_starts_knows_what_the_calls_before_it_met(stage: Stage) -> None:
    await stage.opened(stage.call())
    late = stage.call()
    await late.look()
    assert not stage.allows(late)


async def test_one_call_of_all_tries_it_and_its_success_closes_it_for_all(stage: Stage) -> None:
    one, other = stage.call(), stage.call()
    await stage.opened(one)
    stage.clock.seconds += OPEN_SECONDS + 1
    await stage.settled()
    assert await stage.tries(other)
    assert not await stage.tries(one)
    assert not stage.allows(other)
    other.worked(GROQ, stage.clock())
    assert stage.allows(other)
    await stage.settled()
    assert stage.allows(one)


async def test_a_trial_that_fails_opens_it_for_all_again(stage: Stage) -> None:
    one, other = stage.call(), stage.call()
    await stage.opened(one)
    stage.clock.seconds += OPEN_SECONDS + 1
    await stage.settled()
    assert await stage.tries(one)
    stage.clock.seconds += 5
    await stage.fails(one)
    stage.clock.seconds += OPEN_SECONDS - 1
    assert not await stage.tries(other)
    stage.clock.seconds += 2
    await stage.settled()
    assert await stage.tries(other)


async def test_a_call_that_ends_before_its_trial_leaves_it_to_another(stage: Stage) -> None:
    one, other = stage.call(), stage.call()
    await stage.opened(one)
    stage.clock.seconds += OPEN_SECONDS + 1
    await stage.settled()
    assert not stage.allows(one)
    await one._tasks.settled()
    await one.close()
    await other.look()
    assert await stage.tries(other)


async def test_an_open_circuit_is_not_asked_about_before_its_time(stage: Stage) -> None:
    one = stage.call()
    await stage.opened(one)
    assert not await stage.tries(one)
    assert stage.store.asked == 0


async def test_without_a_store_a_call_goes_by_its_own_failures_and_a_trial_is_free(stage: Stage) -> None:
    one, other = stage.call(), stage.call()
    stage.store.away = True
    await stage.opened(one)
    assert not stage.allows(one)
    assert stage.allows(other)
    stage.clock.seconds += OPEN_SECONDS
    assert stage.allows(one)


async def test_a_store_that_goes_while_a_circuit_is_open_keeps_nobody_from_a_trial(stage: Stage) -> None:
    one = stage.call()
    await stage.opened(one)
    stage.store.away = True
    stage.clock.seconds += OPEN_SECONDS + 1
    assert await stage.tries(one)
    one.worked(GROQ, stage.clock())
    assert stage.allows(one)


async def test_a_store_that_is_back_is_believed(stage: Stage) -> None:
    one = stage.call()
    stage.store.away = True
    await stage.opened(one)
    stage.store.away = False
    await one.look()
    assert stage.allows(one)


async def test_what_is_kept_names_no_call_and_no_credential(stage: Stage) -> None:
    await stage.opened(stage.call())
    assert list(await stage.store.open_circuits("")) == [circuit_of(GROQ)]
