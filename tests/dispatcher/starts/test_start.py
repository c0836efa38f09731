from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import anyio
import pytest

from dispatcher.errors import LiveKitUnavailable, NotJoinable, NotTheirs, UnknownAgent
from dispatcher.starts.start import StartRequest, Starts
from session.errors import NoCapacity, NoWorker, SessionNotFound, StoreUnavailable
from session.record import EndReason, ErrorReason, Session, State, became_ready, claimed
from session.store.ports import WORKER_SECONDS, StartResult, update
from tests.dispatcher.fakes import Clock, FakeRooms, Timers
from tests.dispatcher.house import a_starts
from tests.session.making import NOON, a_session, a_session_in, a_worker
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio
Answer = TypeVar("Answer")
MAX_BOTS = 2
CLAIM_SECONDS = 3.0
QUEUE_SECONDS = 20.0
FULL: dict[str, Any] = {"active": 4, "slots": 4}


@dataclass
class RacingRooms(FakeRooms):
    """Its server is slow: `meanwhile` happens before CreateRoom answers."""

    meanwhile: Callable[[Session], Any] | None = None

    async def create(self, session: Session, *, with_agent: bool = True) -> None:
        if self.meanwhile is not None:
            await self.meanwhile(session)
        await super().create(session, with_agent=with_agent)


@dataclass
class Stage:
    """A dispatch with MAX_BOTS seats over a store, rooms and one worker with 4 slots."""

    clock: Clock
    store: MemoryStore
    rooms: RacingRooms
    timers: Timers
    dispatch: Starts

    async def worker(self, **changes: Any) -> None:
        await self.store.beat(a_worker("worker_a", **{"agents": {"default": ("prompt",)}, "idle": 0, **changes}))

    async def agent(self, session: Session) -> None:
        """Be its agent: claim, and be in the room."""
        await update(self.store, session.id, _ready)


def _ready(session: Session, now: float) -> Session:
    mine = {"attempt": session.attempt, "job": "job_a", "now": now}
    return became_ready(claimed(session, worker="worker_a", **mine), steps={"ready": 400.0}, **mine)


@pytest.fixture
async def stage() -> Stage:
    clock, rooms, timers = Clock(NOON), RacingRooms(), Timers()
    store = MemoryStore(clock)
    limits = {"max_seats": MAX_BOTS, "claim_seconds": CLAIM_SECONDS, "queue_seconds": QUEUE_SECONDS}
    dispatch = a_starts(store, rooms, timers=timers, **limits)
    made = Stage(clock, store, rooms, timers, dispatch)
    await made.worker()
    return made


async def test_a_start_takes_a_seat_and_makes_a_room_with_the_first_attempt(stage: Stage) -> None:
    begun = await stage.dispatch.start(
        StartRequest(user_name="Ann", metadata={"a": 1}, config={"prompt": "Hi"}), wait_ms=0
    )
    session = await stage.store.get(begun.session.id)
    assert stage.rooms.calls == [("create", session.room)]
    assert stage.rooms.dispatched == [(session.room, 1)]
    assert (session.state, session.attempt, session.tries) == (State.STARTING, 1, 1)
    assert (session.progress_at, session.deadline) == (NOON, NOON + CLAIM_SECONDS)
    assert stage.timers.set == [(session.id, CLAIM_SECONDS)]
    assert (session.metadata, session.config, session.user_name) == ({"a": 1}, {"prompt": "Hi"}, "Ann")
    assert begun.token == f"token of {session.id}"
    assert await stage.store.seats() == 1
    assert not begun.reused


async def test_a_start_asks_the_deployment_that_was_chosen(stage: Stage) -> None:
    await stage.worker(deployment="blue")
    begun = await stage.dispatch.start(StartRequest(), wait_ms=0)
    assert begun.session.deployment == "blue"


async def test_the_waterfall_begins_with_the_request_and_its_room(stage: Stage) -> None:
    begun = await stage.dispatch.start(StartRequest(), wait_ms=0)
    steps = (await stage.store.get(begun.session.id)).steps
    assert list(steps) == ["request", "room"]
    assert 0 == steps["request"] <= steps["room"]


async def test_an_agent_faster_than_its_rooms_answer_is_not_disturbed(stage: Stage) -> None:
    stage.rooms.meanwhile = stage.agent
    begun = await stage.dispatch.start(StartRequest(), wait_ms=0)
    session = await stage.store.get(begun.session.id)
    assert (session.state, session.job) == (State.READY, "job_a")
    assert set(session.steps) == {"request", "room", "ready"}
    assert begun.session.state is State.READY


async def test_a_session_stopped_while_its_room_is_made_stays_stopped(stage: Stage) -> None:
    async def stop(session: Session) -> None:
        await stage.dispatch.stop(session.id)

    stage.rooms.meanwhile = stop
    begun = await stage.dispatch.start(StartRequest(), wait_ms=100)
    assert begun.session.end_reason is EndReason.STOPPED
    assert await stage.store.seats() == 0


async def test_without_livekit_a_start_fails_and_gives_its_seat_back(stage: Stage) -> None:
    stage.rooms.away = True
    with pytest.raises(LiveKitUnavailable):
        await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    (failed,) = (await stage.store.page({State.ERROR}, limit=5)).sessions
    assert failed.error is ErrorReason.SERVER_LOST
    assert await stage.store.seats() == 0
    stage.rooms.away = False
    assert not (await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)).reused


async def test_a_user_gets_the_live_session_back_with_a_new_token(stage: Stage) -> None:
    first = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    again = await stage.dispatch.start(StartRequest(user_id="ann", user_name="Ann"), wait_ms=0)
    assert (again.reused, again.session.id, again.task) == (True, first.session.id, first.task)
    assert again.token
    assert await stage.store.seats() == 1
    assert len(stage.rooms.calls) == 1


async def test_nobody_is_given_an_anonymous_session_back(stage: Stage) -> None:
    first = await stage.dispatch.start(StartRequest(), wait_ms=0)
    second = await stage.dispatch.start(StartRequest(), wait_ms=0)
    assert first.session.id != second.session.id


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        pytest.param({"draining": True}, 0, id="the workers leave"),
        pytest.param(FULL, 0, id="the workers are full"),
        pytest.param({}, WORKER_SECONDS + 1, id="the workers are gone for good"),
    ],
)
async def test_a_live_session_is_given_back_also_when(stage: Stage, changes: dict[str, Any], seconds: float) -> None:
    first = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    await stage.worker(**changes)
    stage.clock.seconds += seconds
    again = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    assert (again.session.id, again.reused) == (first.session.id, True)


@pytest.mark.parametrize(
    ("seconds", "wish", "error"),
    [
        pytest.param(
            WORKER_SECONDS + 1, StartRequest(user_id="ann"), NoWorker, id="no worker was seen for five minutes"
        ),
        pytest.param(0, StartRequest(agent="unknown"), UnknownAgent, id="no such agent"),
    ],
)
async def test_a_start_that_nobody_can_serve_leaves_nothing_behind(
    stage: Stage, seconds: float, wish: StartRequest, error: type[Exception]
) -> None:
    stage.clock.seconds += seconds
    with pytest.raises(error):
        await stage.dispatch.start(wish, wait_ms=0)
    assert not any((await stage.store.counts()).values())
    assert stage.rooms.calls == []


async def test_no_start_goes_beyond_the_seats(stage: Stage) -> None:
    for _ in range(MAX_BOTS):
        await stage.dispatch.start(StartRequest(), wait_ms=0)
    with pytest.raises(NoCapacity):
        await stage.dispatch.start(StartRequest(), wait_ms=0)
    assert (await stage.store.counts())[State.QUEUED] == 0


async def test_with_every_seat_taken_a_live_session_is_given_back(stage: Stage) -> None:
    first = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    for _ in range(MAX_BOTS - 1):
        await stage.dispatch.start(StartRequest(), wait_ms=0)
    assert (await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)).session.id == first.session.id


@pytest.mark.parametrize(
    ("changes", "seconds", "slots"),
    [
        pytest.param(FULL, 0, 4, id="every slot is taken"),
        pytest.param({}, 60, 0, id="the worker was seen a minute ago and may be restarting"),
        pytest.param({"left": True}, 0, 0, id="the worker has just left"),
        pytest.param({"draining": True}, 0, 0, id="the worker drains, and the next one is on its way"),
    ],
)
async def test_a_start_is_queued_with_a_room_and_without_a_seat_when(
    stage: Stage, changes: dict[str, Any], seconds: float, slots: int
) -> None:
    await stage.worker(**changes)
    stage.clock.seconds += seconds
    begun = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=None)
    session = await stage.store.get(begun.session.id)
    assert (session.state, session.attempt, session.tries) == (State.QUEUED, 0, 0)
    assert session.deadline == stage.clock.seconds + QUEUE_SECONDS
    assert (begun.position, begun.slots) == (1, slots)
    assert [each.name for each in stage.rooms.opened] == [session.room]
    assert stage.rooms.dispatched == []
    assert await stage.store.seats() == 0
    assert begun.token


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"draining": True}, id="a worker that leaves still has"),
        pytest.param({"agents": {"shop": ()}}, id="another agent's workers have"),
    ],
)
async def test_a_start_does_not_wait_for_the_calls_that(stage: Stage, others: dict[str, Any]) -> None:
    await stage.store.beat(a_worker("worker_b", slots=1, active=1, **others))
    await stage.store.start(a_session_in(State.READY, worker="worker_b"), max_seats=9, op="op")
    await stage.worker(slots=1)
    assert (await stage.dispatch.start(StartRequest(), wait_ms=0)).session.state is State.STARTING


async def test_starts_at_once_take_the_slots_there_are_and_the_others_wait(stage: Stage) -> None:
    await stage.worker(slots=1)
    first = await stage.dispatch.start(StartRequest(), wait_ms=0)
    second = await stage.dispatch.start(StartRequest(), wait_ms=0)
    stage.clock.seconds += 0.01
    third = await stage.dispatch.start(StartRequest(), wait_ms=0)
    assert [each.session.state for each in (first, second, third)] == [State.STARTING, State.QUEUED, State.QUEUED]
    assert [each.position for each in (first, second, third)] == [None, 1, 2]


async def test_nobody_passes_those_who_wait_already(stage: Stage) -> None:
    await stage.worker(**FULL)
    await stage.dispatch.start(StartRequest(), wait_ms=0)
    stage.clock.seconds += 0.01
    await stage.worker()
    assert (await stage.dispatch.start(StartRequest(), wait_ms=0)).position == 2


async def test_no_more_wait_than_there_are_seats(stage: Stage) -> None:
    await stage.worker(**FULL)
    for _ in range(MAX_BOTS):
        await stage.dispatch.start(StartRequest(), wait_ms=0)
    with pytest.raises(NoCapacity):
        await stage.dispatch.start(StartRequest(), wait_ms=0)


async def test_a_user_who_waits_is_given_his_place_again(stage: Stage) -> None:
    await stage.worker(**FULL)
    first = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    stage.clock.seconds += 0.01
    await stage.dispatch.start(StartRequest(user_id="bob"), wait_ms=0)
    again = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    assert (again.session.id, again.reused, again.position) == (first.session.id, True, 1)
    assert len(await stage.store.queue()) == 2


async def test_who_stops_waiting_leaves_the_queue_and_his_room(stage: Stage) -> None:
    await stage.worker(**FULL)
    begun = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    assert (await stage.dispatch.stop(begun.session.id)).end_reason is EndReason.STOPPED
    assert await stage.store.queue() == []
    assert stage.rooms.opened == []
    assert not (await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)).reused


async def test_without_livekit_nobody_is_queued(stage: Stage) -> None:
    await stage.worker(**FULL)
    stage.rooms.away = True
    with pytest.raises(LiveKitUnavailable):
        await stage.dispatch.start(StartRequest(), wait_ms=0)
    assert await stage.store.queue() == []


async def test_a_warm_start_is_waited_for_until_it_is_ready(stage: Stage) -> None:
    await stage.worker(idle=1)
    begun: list[Any] = []

    async def start() -> None:
        begun.append(await stage.dispatch.start(StartRequest(), wait_ms=None))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
            while not (page := await stage.store.page({State.STARTING}, limit=1)).sessions:
                await anyio.lowlevel.checkpoint()
            await stage.agent(page.sessions[0])
    assert begun[0].session.state is State.READY
    assert begun[0].session.prewarmed


async def test_a_cold_start_is_answered_at_once(stage: Stage) -> None:
    with anyio.fail_after(0.4):
        begun = await stage.dispatch.start(StartRequest(), wait_ms=None)
    assert (begun.session.state, begun.session.prewarmed) == (State.STARTING, False)


async def test_waiting_ends_with_its_time(stage: Stage) -> None:
    with anyio.fail_after(2):
        begun = await stage.dispatch.start(StartRequest(), wait_ms=30)
    assert begun.session.state is State.STARTING


async def test_another_token_is_for_the_sessions_own_user_only(stage: Stage) -> None:
    begun = await stage.dispatch.start(StartRequest(user_id="ann"), wait_ms=0)
    session, token = await stage.dispatch.token(begun.session.id, user_id="ann", name=None)
    assert (session.id, token) == (begun.session.id, begun.token)
    assert (await stage.dispatch.token(begun.session.id, user_id=None, name=None))[1] == begun.token
    with pytest.raises(NotTheirs):
        await stage.dispatch.token(begun.session.id, user_id="bob", name=None)


@pytest.mark.parametrize("state", State)
async def test_a_token_is_given_where_the_state_lets_somebody_join(stage: Stage, state: State) -> None:
    session = replace(a_session(), state=state)
    await stage.store.start(session, max_seats=9, op="op")
    if state in (State.STARTING, State.QUEUED, State.READY, State.RECOVERING):
        assert (await stage.dispatch.token(session.id, user_id=None, name=None))[1]
    else:
        how = {State.ENDED: "has ended", State.ERROR: "has failed"}.get(state, state)
        with pytest.raises(NotJoinable, match=how):
            await stage.dispatch.token(session.id, user_id=None, name=None)


class StoreThatGoes(MemoryStore):
    """Goes away as soon as a session has begun."""

    begun = False

    async def start(self, *args: Any, **facts: Any) -> StartResult:
        result = await super().start(*args, **facts)
        self.begun = True
        return result

    async def get(self, session_id: str) -> Session:
        return await self._there(super().get(session_id))

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        return await self._there(super().get_with_time(session_id))

    async def queue(self) -> Sequence[str]:
        return await self._there(super().queue())

    async def log(self, *args: Any, **facts: Any) -> None:
        await self._there(super().log(*args, **facts))

    async def _there(self, answer: Coroutine[Any, Any, Answer]) -> Answer:
        if self.begun:
            answer.close()
            raise StoreUnavailable
        return await answer


@pytest.mark.parametrize(("busy", "state"), [({}, State.STARTING), (FULL, State.QUEUED)], ids=["at once", "queued"])
async def test_a_store_that_goes_after_the_start_hides_no_session_from_its_caller(
    busy: dict[str, Any], state: State
) -> None:
    store = StoreThatGoes(Clock(NOON))
    await store.beat(a_worker(agents={"default": ()}, **busy))
    starts = a_starts(store, FakeRooms(), max_seats=MAX_BOTS)
    begun = await starts.start(StartRequest(user_id="ann"), wait_ms=100)
    assert (begun.session.state, begun.token) == (state, f"token of {begun.session.id}")


async def test_a_stop_ends_the_session_and_then_closes_its_room(stage: Stage) -> None:
    begun = await stage.dispatch.start(StartRequest(), wait_ms=0)
    first = await stage.dispatch.stop(begun.session.id)
    second = await stage.dispatch.stop(begun.session.id)
    assert first.end_reason is EndReason.STOPPED
    assert second == first
    assert begun.session.room in stage.rooms.deleted


async def test_a_stop_without_livekit_still_ends_the_session(stage: Stage) -> None:
    begun = await stage.dispatch.start(StartRequest(), wait_ms=0)
    stage.rooms.away = True
    assert (await stage.dispatch.stop(begun.session.id)).state is State.ENDED


async def test_an_unknown_session_cannot_be_stopped_or_joined(stage: Stage) -> None:
    with pytest.raises(SessionNotFound):
        await stage.dispatch.stop("session_b")
    with pytest.raises(SessionNotFound):
        await stage.dispatch.token("session_b", user_id=None, name=None)
