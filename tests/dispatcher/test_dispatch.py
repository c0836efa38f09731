from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest

from dispatcher.dispatch import START_SECONDS, Dispatch, Wish
from dispatcher.errors import LiveKitUnavailable, NotJoinable, NotTheirs, UnknownAgent
from dispatcher.ports import FrontEnd
from session.errors import NoCapacity, NoWorker, SessionNotFound
from session.memory_store import MemoryStore
from session.model import EndReason, ErrorReason, Session, State, became_ready, claimed
from session.store import update
from tests.dispatcher.fakes import Clock, FakeRooms
from tests.session.making import NOON, a_session, a_worker

pytestmark = pytest.mark.anyio


@dataclass
class RacingRooms(FakeRooms):
    """Its server is slow: `meanwhile` happens before CreateRoom answers."""

    meanwhile: Callable[[Session], Any] | None = None

    async def create(self, session: Session) -> None:
        if self.meanwhile is not None:
            await self.meanwhile(session)
        await super().create(session)


@dataclass
class Stage:
    """A dispatch over a store, rooms and one worker."""

    store: MemoryStore
    rooms: RacingRooms
    dispatch: Dispatch

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
    store, rooms = MemoryStore(Clock(NOON)), RacingRooms()
    made = Stage(store, rooms, Dispatch(store, store, rooms, max_seats=2))
    await made.worker()
    return made


async def test_a_start_takes_a_seat_and_makes_a_room_with_the_first_attempt(stage: Stage) -> None:
    begun = await stage.dispatch.start(Wish(user_name="Ann", metadata={"a": 1}, config={"prompt": "Hi"}), wait_ms=0)
    session = await stage.store.get(begun.session.id)
    assert stage.rooms.calls == [("create", session.room)]
    assert (session.state, session.attempt, session.tries) == (State.STARTING, 1, 1)
    assert session.deadline == NOON + START_SECONDS
    assert (session.metadata, session.config, session.user_name) == ({"a": 1}, {"prompt": "Hi"}, "Ann")
    assert begun.token == f"token of {session.id}"
    assert await stage.store.seats() == 1
    assert not begun.reused


async def test_the_waterfall_begins_with_the_request_and_its_room(stage: Stage) -> None:
    begun = await stage.dispatch.start(Wish(), wait_ms=0)
    steps = (await stage.store.get(begun.session.id)).steps
    assert list(steps) == ["request", "room"]
    assert 0 == steps["request"] <= steps["room"]


async def test_an_agent_faster_than_its_rooms_answer_is_not_disturbed(stage: Stage) -> None:
    stage.rooms.meanwhile = stage.agent
    begun = await stage.dispatch.start(Wish(), wait_ms=0)
    session = await stage.store.get(begun.session.id)
    assert (session.state, session.job) == (State.READY, "job_a")
    assert set(session.steps) == {"request", "room", "ready"}
    assert begun.session.state is State.READY


async def test_a_session_stopped_while_its_room_is_made_stays_stopped(stage: Stage) -> None:
    async def stop(session: Session) -> None:
        await stage.dispatch.stop(session.id)

    stage.rooms.meanwhile = stop
    begun = await stage.dispatch.start(Wish(), wait_ms=100)
    assert begun.session.end_reason is EndReason.STOPPED
    assert await stage.store.seats() == 0


async def test_without_livekit_a_start_fails_and_gives_its_seat_back(stage: Stage) -> None:
    stage.rooms.away = True
    with pytest.raises(LiveKitUnavailable):
        await stage.dispatch.start(Wish(user_id="ann"), wait_ms=0)
    (failed,) = (await stage.store.page({State.ERROR}, limit=5)).sessions
    assert failed.error is ErrorReason.SERVER_LOST
    assert await stage.store.seats() == 0
    stage.rooms.away = False
    assert not (await stage.dispatch.start(Wish(user_id="ann"), wait_ms=0)).reused


async def test_a_user_gets_the_live_session_back_with_a_new_token(stage: Stage) -> None:
    first = await stage.dispatch.start(Wish(user_id="ann"), wait_ms=0)
    again = await stage.dispatch.start(Wish(user_id="ann", user_name="Ann"), wait_ms=0)
    assert (again.reused, again.session.id, again.task) == (True, first.session.id, first.task)
    assert again.token
    assert await stage.store.seats() == 1
    assert len(stage.rooms.calls) == 1


async def test_nobody_is_given_an_anonymous_session_back(stage: Stage) -> None:
    first = await stage.dispatch.start(Wish(), wait_ms=0)
    second = await stage.dispatch.start(Wish(), wait_ms=0)
    assert first.session.id != second.session.id


@pytest.mark.parametrize(
    "changes", [{"draining": True}, {"active": 4, "slots": 4}], ids=["the workers leave", "the workers are full"]
)
async def test_a_live_session_is_given_back_also_when(stage: Stage, changes: dict[str, Any]) -> None:
    first = await stage.dispatch.start(Wish(user_id="ann"), wait_ms=0)
    await stage.worker(**changes)
    assert (await stage.dispatch.start(Wish(user_id="ann"), wait_ms=0)).session.id == first.session.id


@pytest.mark.parametrize(
    ("changes", "wish", "error"),
    [
        pytest.param({"draining": True}, Wish(user_id="ann"), NoWorker, id="no worker"),
        pytest.param({"active": 4, "slots": 4}, Wish(user_id="ann"), NoCapacity, id="no slot"),
        pytest.param({}, Wish(agent="unknown"), UnknownAgent, id="no such agent"),
    ],
)
async def test_a_start_that_nobody_can_serve_leaves_nothing_behind(
    stage: Stage, changes: dict[str, Any], wish: Wish, error: type[Exception]
) -> None:
    await stage.worker(**changes)
    with pytest.raises(error):
        await stage.dispatch.start(wish, wait_ms=0)
    assert not any((await stage.store.counts()).values())
    assert stage.rooms.calls == []


async def test_no_start_goes_beyond_the_seats(stage: Stage) -> None:
    for _ in range(2):
        await stage.dispatch.start(Wish(), wait_ms=0)
    with pytest.raises(NoCapacity):
        await stage.dispatch.start(Wish(), wait_ms=0)


async def test_a_warm_start_is_waited_for_until_it_is_ready(stage: Stage) -> None:
    await stage.worker(idle=1)
    begun: list[Any] = []

    async def start() -> None:
        begun.append(await stage.dispatch.start(Wish(), wait_ms=None))

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
        begun = await stage.dispatch.start(Wish(), wait_ms=None)
    assert (begun.session.state, begun.session.prewarmed) == (State.STARTING, False)


async def test_waiting_ends_with_its_time(stage: Stage) -> None:
    with anyio.fail_after(2):
        begun = await stage.dispatch.start(Wish(), wait_ms=30)
    assert begun.session.state is State.STARTING


async def test_a_reserved_session_takes_no_seat_and_makes_no_room(stage: Stage) -> None:
    token = await stage.dispatch.reserve(Wish(metadata={"a": 1}), FrontEnd(name="Ann"))
    (session,) = (await stage.store.page({State.RESERVED}, limit=5)).sessions
    assert token == f"reserved token of {session.id}"
    assert (session.attempt, session.metadata) == (1, {"a": 1})
    assert await stage.store.seats() == 0
    assert stage.rooms.calls == []


async def test_nothing_is_reserved_that_could_not_be_served(stage: Stage) -> None:
    for _ in range(2):
        await stage.dispatch.start(Wish(), wait_ms=0)
    with pytest.raises(NoCapacity):
        await stage.dispatch.reserve(Wish(), FrontEnd())
    await stage.worker(draining=True)
    with pytest.raises(NoWorker):
        await stage.dispatch.reserve(Wish(), FrontEnd())


async def test_another_token_is_for_the_sessions_own_user_only(stage: Stage) -> None:
    begun = await stage.dispatch.start(Wish(user_id="ann"), wait_ms=0)
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
        with pytest.raises(NotJoinable, match=state):
            await stage.dispatch.token(session.id, user_id=None, name=None)


async def test_a_stop_ends_the_session_and_then_closes_its_room(stage: Stage) -> None:
    begun = await stage.dispatch.start(Wish(), wait_ms=0)
    first = await stage.dispatch.stop(begun.session.id)
    second = await stage.dispatch.stop(begun.session.id)
    assert first.end_reason is EndReason.STOPPED
    assert second == first
    assert begun.session.room in stage.rooms.deleted


async def test_a_stop_without_livekit_still_ends_the_session(stage: Stage) -> None:
    begun = await stage.dispatch.start(Wish(), wait_ms=0)
    stage.rooms.away = True
    assert (await stage.dispatch.stop(begun.session.id)).state is State.ENDED


async def test_an_unknown_session_cannot_be_stopped_or_joined(stage: Stage) -> None:
    with pytest.raises(SessionNotFound):
        await stage.dispatch.stop("session_b")
    with pytest.raises(SessionNotFound):
        await stage.dispatch.token("session_b", user_id=None, name=None)
