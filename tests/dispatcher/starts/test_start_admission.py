"""Starts that are made once, and starts that must pass the gate, as the dispatch sees them."""

from dataclasses import dataclass
from functools import partial

import anyio
import pytest

from dispatcher.errors import RateLimited, StartsFailing, UnknownAgent
from dispatcher.starts.idempotency import IdempotentStart
from dispatcher.starts.start import StartedSession, StartRequest, Starts
from session.errors import NoCapacity, NoWorker, OperationReused
from session.record import ErrorReason, Session, State, became_ready, claimed
from session.store.ports import CIRCUIT_FAILURES, WORKER_SECONDS, update
from tests.dispatcher.fakes import Clock
from tests.dispatcher.gates import SlowRooms, a_gate
from tests.dispatcher.house import a_starts
from tests.session.making import NOON, a_session, a_worker, eventually
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio

ONCE = IdempotentStart("key-a", "fingerprint")


@dataclass
class Stage:
    """A dispatch over a store, rooms and one worker."""

    clock: Clock
    store: MemoryStore
    rooms: SlowRooms
    dispatch: Starts

    async def agent(self, session: Session) -> None:
        """Be its agent: claim, and be in the room."""
        await update(self.store, session.id, _ready)


def _ready(session: Session, now: float) -> Session:
    mine = {"attempt": session.attempt, "job": "job_a", "now": now}
    return became_ready(claimed(session, worker="worker_a", **mine), steps={"ready": 400.0}, **mine)


@pytest.fixture
async def stage() -> Stage:
    clock = Clock(NOON)
    store, rooms = MemoryStore(clock), SlowRooms()
    await store.beat(a_worker("worker_a", agents={"default": ()}, idle=0))
    return Stage(clock, store, rooms, a_starts(store, rooms, max_seats=2))


async def test_the_same_start_again_has_the_same_session_a_new_token_and_one_room(stage: Stage) -> None:
    wish = StartRequest(user_id="ann")
    first = await stage.dispatch.start(wish, wait_ms=0, once=ONCE)
    await stage.agent(first.session)
    again = await stage.dispatch.start(wish, wait_ms=0, once=ONCE)
    assert (again.session.id, again.session.state, again.task) == (first.session.id, State.READY, first.task)
    assert (again.reused, again.repeated, again.token) == (False, True, first.token)
    assert len(stage.rooms.calls) == 1


async def test_the_same_start_twice_at_once_makes_one_room_and_both_wait_for_it(stage: Stage) -> None:
    async def stumble(_: Session) -> None:
        await anyio.sleep(0.05)

    stage.rooms.meanwhile = stumble
    begun: list[StartedSession] = []
    async with anyio.create_task_group() as tasks:

        async def start() -> None:
            begun.append(await stage.dispatch.start(StartRequest(), wait_ms=0, once=ONCE))

        for _ in range(2):
            tasks.start_soon(start)
    assert len({each.session.id for each in begun}) == 1
    assert sorted(each.repeated for each in begun) == [False, True]
    assert all("room" in each.session.steps for each in begun)
    assert len(stage.rooms.calls) == 1


async def test_the_same_start_after_its_end_has_the_session_as_it_is_and_nothing_to_join_it_with(stage: Stage) -> None:
    first = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0, once=ONCE)
    over = await stage.dispatch.stop(first.session.id)
    again = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0, once=ONCE)
    assert (again.session, again.token) == (over, "")
    assert await stage.store.seats() == 0


async def test_the_same_start_that_asks_for_something_else_is_refused(stage: Stage) -> None:
    await stage.dispatch.start(StartRequest(), wait_ms=0, once=ONCE)
    with pytest.raises(OperationReused):
        await stage.dispatch.start(StartRequest(), wait_ms=0, once=IdempotentStart(ONCE.op, "other"))


async def test_where_the_gate_refuses_only_what_has_begun_is_given_back(stage: Stage) -> None:
    gate = a_gate(stage.store, by_address="1/day")
    await gate.limits.take("203.0.113.9", owner="", user_id=None)
    refused = gate.permit("203.0.113.9", owner="", user_id="ann")
    mine = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    keyed = await stage.dispatch.start(StartRequest(), wait_ms=0, once=ONCE)
    assert (
        await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0, permit=refused)
    ).session.id == mine.session.id
    again = await stage.dispatch.start(StartRequest(), wait_ms=0, permit=refused, once=ONCE)
    assert again.session.id == keyed.session.id
    for end in (mine, keyed):
        await stage.dispatch.stop(end.session.id)
    with pytest.raises(RateLimited):
        await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0, permit=refused)
    assert len(stage.rooms.opened) == 0


async def test_a_permit_is_used_by_a_new_session_and_given_back_before_a_known_one_is_waited_for(stage: Stage) -> None:
    gate = a_gate(stage.store, by_address="9/day")
    used, unused = (gate.permit("203.0.113.9", owner="", user_id="ann") for _ in range(2))
    begun = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0, permit=used)
    assert used.taken
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(stage.dispatch.start, StartRequest(user_id="ann"), wait_ms=10_000, permit=unused))

        async def given_back() -> bool:
            return "reused" in [line["event"] for line in await stage.store.logs(begun.session.id, limit=9)]

        await eventually(given_back)
        assert not unused.taken
        tasks.cancel_scope.cancel()


async def test_the_same_start_while_it_waits_in_the_queue_has_the_same_place(stage: Stage) -> None:
    await stage.store.beat(a_worker("worker_a", agents={"default": ()}, idle=0, active=4, slots=4))
    first = await stage.dispatch.start(StartRequest(), wait_ms=0, once=ONCE)
    stage.clock.seconds += 1
    await stage.dispatch.start(StartRequest(), wait_ms=0)
    again = await stage.dispatch.start(StartRequest(), wait_ms=0, once=ONCE)
    assert (again.session.id, again.session.state, again.position) == (first.session.id, State.QUEUED, 1)
    assert len(await stage.store.queue()) == 2


@pytest.mark.parametrize("left", [True, False])
async def test_the_same_start_is_given_back_also_when_no_other_could_begin(stage: Stage, left: bool) -> None:
    first = await stage.dispatch.start(StartRequest(), wait_ms=0, once=ONCE)
    if left:
        stage.clock.seconds += WORKER_SECONDS + 1
    else:
        await stage.dispatch.start(StartRequest(), wait_ms=0)
    again = await stage.dispatch.start(StartRequest(), wait_ms=0, once=ONCE)
    assert again.session.id == first.session.id
    with pytest.raises(NoWorker if left else NoCapacity):
        await stage.dispatch.start(StartRequest(), wait_ms=0, once=IdempotentStart("key-b", "fingerprint"))


async def test_nothing_is_taken_for_a_start_that_no_worker_could_serve(stage: Stage) -> None:
    permit = a_gate(stage.store, by_address="1/day").permit("203.0.113.9", owner="", user_id=None)
    with pytest.raises(UnknownAgent):
        await stage.dispatch.start(StartRequest(agent="unknown"), wait_ms=0, permit=permit)
    assert not permit.taken


async def test_the_circuit_is_that_of_the_deployment_that_is_asked(stage: Stage) -> None:
    gate = a_gate(stage.store)
    for each in range(CIRCUIT_FAILURES):
        facts = {"state": State.ERROR, "error": ErrorReason.NOT_CLAIMED, "deployment": "blue"}
        await gate.circuit.failed(a_session(f"session_{each}", **facts))
    permit = gate.permit("203.0.113.9", owner="", user_id=None)
    await stage.dispatch.start(StartRequest(), wait_ms=0, permit=permit)
    await stage.store.beat(a_worker("worker_a", agents={"default": ()}, idle=0, deployment="blue"))
    with pytest.raises(StartsFailing):
        await stage.dispatch.start(StartRequest(), wait_ms=0, permit=permit)
