"""One start, one agent, whatever the order of things: in memory and on a real Valkey; and broken on purpose."""

from __future__ import annotations

import os
import secrets
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from dispatcher.attempts.executor import AttemptExecutor
from session.record import SEATED, Session
from session.store.redis.store import open_store
from tests.properties.machine import SessionsMachine
from tests.properties.world import World
from tests.session.making import NOON
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.faults

QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
SAME_EACH_TIME = "GREENROOM_NEW_SEEDS" not in os.environ  # `make long` sets it: other orders with each run
THOROUGH = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=QUIET,
    database=None,
    derandomize=SAME_EACH_TIME,
)
ON_VALKEY = settings(THOROUGH, max_examples=15, stateful_step_count=40)
# Found is enough: nobody reads the shortest way to break what is broken on purpose.
HUNTING = settings(THOROUGH, max_examples=300, stateful_step_count=40, phases=[Phase.generate])


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class InMemory(SessionsMachine):
    store: type[MemoryStore] = MemoryStore

    async def open(self) -> World:
        clock = Clock()
        return World(self.store(clock, keep_seconds=1e9), clock.advance, self.attempts)


class OnValkey(SessionsMachine):
    url: ClassVar[str] = ""

    async def open(self) -> World:
        self.stack = AsyncExitStack()
        moved = 0.0

        def advance(seconds: float) -> None:
            nonlocal moved
            moved += seconds

        namespace = f"property-{secrets.token_hex(6)}"
        opened = open_store(self.url, namespace=namespace, keep_seconds=3600, clock_offset=lambda: moved)
        return World(await self.stack.enter_async_context(opened), advance)

    async def close(self) -> None:
        await self.stack.aclose()


@pytest.mark.timeout(420)
def test_in_memory() -> None:
    run_state_machine_as_test(InMemory, settings=THOROUGH)


@pytest.mark.timeout(420)
def test_on_a_real_valkey(valkey_url: str) -> None:
    class Here(OnValkey):
        url = valkey_url

    run_state_machine_as_test(Here, settings=ON_VALKEY)


class NoFence(MemoryStore):
    """Writes whatever comes, whoever was faster."""

    async def write(self, session: Session, *, op: str, max_seats: int | None = None) -> Session:
        stored = await self.get(session.id)
        return await super().write(replace(session, rev=stored.rev), op=op, max_seats=max_seats)


class NoSeats(MemoryStore):
    """Counts no seats."""

    async def start(self, session: Session, *, max_seats: int, **how: Any) -> Any:
        return await super().start(session, max_seats=max_seats + 10 if session.state in SEATED else max_seats, **how)


class NoConfirm(AttemptExecutor):
    """Sees to nothing."""

    async def handle_due(self, session_id: str) -> None:
        return None


class SameAttempt(MemoryStore):
    """Lets an attempt be claimed again after its agent was lost."""

    async def write(self, session: Session, *, op: str, max_seats: int | None = None) -> Session:
        return await super().write(replace(session, claimable=True), op=op, max_seats=max_seats)


def broken(**parts: Any) -> type[InMemory]:
    return type("Broken", (InMemory,), parts)


@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    "machine",
    [broken(store=NoFence), broken(store=NoSeats), broken(store=SameAttempt), broken(attempts=NoConfirm)],
    ids=["the fence", "the seat count", "claims of an attempt whose agent was lost", "the confirming"],
)
def test_what_is_broken_on_purpose_is_found(machine: type[InMemory]) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=HUNTING)
