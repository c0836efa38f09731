"""Jobs that bring along a session which no dispatcher has recorded so far."""

from __future__ import annotations

import pytest

from session.errors import SessionNotFound
from session.fence import Ticket
from session.record import Session, State
from session.reservation import Reservation
from session.store.ports import RESERVED_SECONDS
from tests.session.making import NOON, a_session
from tests.worker.host.test_server import a_door, a_store
from tests.worker.jobs import Asked, a_job, settings
from worker.host.server import JobAcceptor, Slots

pytestmark = pytest.mark.anyio


def a_reserved_job(at: float = NOON) -> Asked:
    """A job that its caller's token has brought about: no dispatcher knows of it so far."""
    ticket = Ticket("session_a", 1, Reservation(at=at, agent="shop", user_name="Ann"))
    return Asked(a_job(metadata=ticket.to_json()))


async def test_a_job_that_brings_its_session_along_is_recorded_and_taken() -> None:
    store = await a_store()
    door, _ = a_door(store)
    asked = a_reserved_job()
    await door.accept(asked.request)
    assert [arguments.identity for arguments in asked.accepted] == ["agent-session_a-1"]
    session = await store.get("session_a")
    assert (session.state, session.accepted, session.worker) == (State.STARTING, "job_a", "worker_a")
    assert (session.agent, session.user_name, session.room_made) == ("shop", "Ann", True)
    assert await store.seats() == 1
    [line] = await store.logs("session_a", limit=9)
    assert (line["event"], line["by"]) == ("starting", "worker")


async def test_a_job_that_brings_along_what_is_recorded_already_is_taken_by_the_record() -> None:
    store = await a_store(a_session(agent="default"))
    door, _ = a_door(store)
    asked = a_reserved_job()
    await door.accept(asked.request)
    assert len(asked.accepted) == 1
    assert (await store.get("session_a")).agent == "default"


async def test_a_job_whose_session_waits_in_the_queue_does_not_jump_it() -> None:
    store = await a_store(a_session(state=State.QUEUED, claimable=False))
    door, slots = a_door(store)
    asked = a_reserved_job()
    await door.accept(asked.request)
    assert (asked.accepted, asked.rejected) == ([], [True])
    assert slots.load == 0


@pytest.mark.parametrize(
    ("others", "max_bots"),
    [
        pytest.param([a_session("session_b", state=State.QUEUED)], 5, id="others wait"),
        pytest.param([a_session("session_b")], 1, id="every seat is taken"),
    ],
)
async def test_a_job_that_brings_its_session_along_is_left_to_a_dispatcher_where(
    others: list[Session], max_bots: int
) -> None:
    store = await a_store(*others)
    slots = Slots(2)
    door = JobAcceptor(store, slots, settings(max_bots=max_bots), "worker_a")
    asked = a_reserved_job()
    await door.accept(asked.request)
    assert (asked.accepted, asked.rejected) == ([], [False])
    assert slots.load == 0
    with pytest.raises(SessionNotFound):
        await store.get("session_a")


async def test_a_job_of_an_owner_that_has_all_its_sessions_is_left_to_a_dispatcher() -> None:
    store = await a_store(a_session("session_b", owner="key:shop"))
    door, slots = a_door(store)
    ticket = Ticket("session_a", 1, Reservation(at=NOON, owner="key:shop", max_owned=1))
    asked = Asked(a_job(metadata=ticket.to_json()))
    await door.accept(asked.request)
    assert (asked.accepted, asked.rejected) == ([], [False])
    assert slots.load == 0


async def test_a_job_of_a_token_that_has_run_out_begins_nothing() -> None:
    store = await a_store()
    door, slots = a_door(store)
    asked = a_reserved_job(at=NOON - RESERVED_SECONDS)
    await door.accept(asked.request)
    assert asked.accepted == []
    assert slots.load == 0
    assert await store.seats() == 0


async def test_a_job_that_brings_along_a_session_of_another_room_is_refused_for_every_worker() -> None:
    door, _ = a_door(await a_store())
    metadata = Ticket("session_a", 1, Reservation(at=NOON)).to_json()
    asked = Asked(a_job(room="session_b", metadata=metadata))
    await door.accept(asked.request)
    assert asked.rejected == [True]
