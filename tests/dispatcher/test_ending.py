"""Every end of the dispatcher's and every loss is written, logged and followed in one way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dispatcher.ending import Ending, over
from dispatcher.livekit.port import OpenRoom
from session.errors import SessionNotFound, Stale
from session.fence import caller_identity
from session.record import CallerPresence, EndReason, ErrorReason, Session, State
from tests.dispatcher.fakes import FakeRooms
from tests.session.making import NOON, a_session, a_session_in, admit
from tests.session.memory_store import MemoryStore

pytestmark = pytest.mark.anyio


class Stage:
    """A store, LiveKit in memory and what ends sessions in them."""

    def __init__(self, rooms: FakeRooms | None = None) -> None:
        self.store, self.rooms = MemoryStore(lambda: NOON), rooms or FakeRooms()
        self.ending = Ending(self.store, self.rooms)

    async def has(self, session: Session) -> Session:
        self.rooms.opened.append(OpenRoom(session.room, "RM_1"))
        return await admit(self.store, session)

    async def log(self) -> list[tuple[Any, ...]]:
        lines = await self.store.logs("session_a", limit=100)
        return [(line["event"], line["level"], line.get("reason"), line.get("by")) for line in lines]


@pytest.mark.parametrize("reason", EndReason)
def test_an_end_reason_ends_the_session(reason: EndReason) -> None:
    session = over(a_session_in(State.READY), reason, NOON + 9)
    assert (session.state, session.end_reason, session.error, session.ended_at) == (State.ENDED, reason, None, NOON + 9)


@pytest.mark.parametrize("reason", ErrorReason)
def test_an_error_fails_the_session(reason: ErrorReason) -> None:
    session = over(a_session_in(State.READY), reason, NOON + 9)
    assert (session.state, session.end_reason, session.error, session.ended_at) == (State.ERROR, None, reason, NOON + 9)


@pytest.mark.parametrize(("reason", "level"), [(EndReason.STOPPED, "info"), (ErrorReason.LOST, "error")])
async def test_an_end_is_written_and_logged_once_and_closes_the_room(reason: Any, level: str) -> None:
    stage = Stage()
    await stage.has(a_session_in(State.READY))
    for _ in range(2):
        session = await stage.ending.end("session_a", lambda *_: reason, by="api")
        assert (session.end_reason or session.error) is reason
    assert await stage.log() == [("ended", level, reason.value, "api")]
    assert await stage.rooms.open_rooms() == []
    assert len(stage.store.outgoing) == 1


@pytest.mark.parametrize(
    ("changes", "reason", "told"),
    [
        ({"caller": CallerPresence.PRESENT}, ErrorReason.NO_CAPACITY, ["no_capacity"]),
        ({"caller": CallerPresence.PRESENT}, EndReason.STOPPED, []),
        ({"caller": CallerPresence.AWAY}, ErrorReason.NO_CAPACITY, []),
        ({"caller": CallerPresence.PRESENT, "adopted": True}, ErrorReason.NO_CAPACITY, []),
    ],
)
async def test_a_page_is_told_why_its_session_failed_before_its_room_is_closed(
    changes: dict[str, Any], reason: Any, told: list[str]
) -> None:
    stage = Stage()
    await stage.has(a_session_in(State.QUEUED, **changes))
    for _ in range(2):
        await stage.ending.end("session_a", lambda *_: reason, by="attempts")
    assert [what for what, _ in stage.rooms.calls] == ["tell", "delete", "delete"][1 - len(told) :]
    assert stage.rooms.told == [("session_a", caller_identity("session_a"), each) for each in told]


class HangingRooms(FakeRooms):
    """Their server never answers what is to be told to a page."""

    async def set_caller_state(self, room: str, identity: str, state: str) -> None:
        await asyncio.Event().wait()


async def test_a_page_that_cannot_be_told_why_holds_up_no_end() -> None:
    stage = Stage(HangingRooms())
    await stage.has(a_session_in(State.QUEUED, caller=CallerPresence.PRESENT))
    session = await stage.ending.end("session_a", lambda *_: ErrorReason.NO_WORKER, by="attempts")
    assert session.error is ErrorReason.NO_WORKER
    assert stage.rooms.deleted == ["session_a"]


async def test_a_session_that_is_not_to_end_after_all_stays_as_it_is() -> None:
    stage = Stage()
    before = await stage.has(a_session_in(State.READY))
    assert await stage.ending.end("session_a", lambda *_: None, by="sweep") == before
    assert await stage.log() == []
    assert len(await stage.rooms.open_rooms()) == 1


async def test_an_end_is_judged_by_the_session_as_it_is_when_it_is_written() -> None:
    stage = Stage()
    session = await stage.has(a_session_in(State.READY))
    seen: list[int] = []

    def judge(each: Session, now: float) -> EndReason:
        seen.append(each.rev)
        return EndReason.IDLE

    meanwhile = await stage.store.write(session, op="meanwhile")
    await stage.ending.end("session_a", judge, by="sweep")
    assert seen == [meanwhile.rev]


async def test_nobody_ends_what_is_not_there() -> None:
    with pytest.raises(SessionNotFound):
        await Stage().ending.end("session_a", lambda *_: EndReason.STOPPED, by="api")


async def test_a_loss_is_written_and_logged_and_another_agents_is_refused() -> None:
    stage = Stage()
    await stage.has(a_session_in(State.READY))
    session = await stage.ending.lose("session_a", "job_a", "agent_silent")
    assert (session.state, session.job) == (State.RECOVERING, None)
    assert await stage.log() == [("agent_silent", "error", None, None)]
    with pytest.raises(Stale):
        await stage.ending.lose("session_a", "job_a", "agent_silent")
    assert len(await stage.log()) == 1


def test_what_is_over_stays_as_it_is() -> None:
    session = a_session_in(State.ERROR)
    assert over(session, EndReason.STOPPED, NOON) is session
    assert over(a_session(), EndReason.STOPPED, NOON).state is State.ENDED
