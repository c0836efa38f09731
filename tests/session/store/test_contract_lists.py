"""What every store must do with lists, transcripts, logs and the pool, in memory and in a real Valkey alike."""

from dataclasses import replace

import pytest

from session.errors import SessionNotFound, Stale
from session.record import (
    FINAL,
    LIVE,
    EndReason,
    ErrorReason,
    Session,
    State,
    became_ready,
    claimed,
    dispatched,
    ended,
    failed,
    lost,
    new_session_id,
)
from session.store.ports import LOG_LINES, Stats, TranscriptPage, Utterance
from tests.session.making import NOON, Store, a_session, a_session_in, a_worker, admit, eventually

pytestmark = pytest.mark.anyio


# Lists and counts


async def test_pages_hold_every_session_once_newest_first(store: Store) -> None:
    states = [State.READY, State.QUEUED, State.STARTING]
    for each in range(23):
        at = NOON + each // 4  # several were created at the same instant
        await admit(store, a_session(f"session_{each:02}", state=states[each % 3], created_at=at))
    await admit(store, a_session("session_other", state=State.RESERVED, created_at=NOON + 99))
    seen: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        page = await store.page(states, limit=5, cursor=cursor)
        seen += [session.id for session in page.sessions]
        cursor, pages = page.cursor, pages + 1
    assert seen == [f"session_{each:02}" for each in reversed(range(23))]
    assert pages == 5


async def test_a_page_that_is_exactly_full_is_the_last(store: Store) -> None:
    for each in "abc":
        await admit(store, a_session(f"session_{each}"))
    assert (await store.page([State.STARTING], limit=3)).cursor is None
    assert (await store.page([State.STARTING], limit=2)).cursor is not None
    assert (await store.page([], limit=3)).sessions == []


async def test_what_comes_or_moves_between_two_pages_doubles_nothing(store: Store) -> None:
    for each in range(4):
        await admit(store, a_session(f"session_{each}", created_at=NOON + each))
    first = await store.page(LIVE, limit=2)
    await admit(store, a_session("session_new", created_at=NOON + 50))
    moved = first.sessions[0]
    await store.write(replace(moved, state=State.READY), op="a")
    second = await store.page(LIVE, limit=2, cursor=first.cursor)
    assert [each.id for each in [*first.sessions, *second.sessions]] == [f"session_{each}" for each in (3, 2, 1, 0)]


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "nan/session_a", "inf/session_a", "1.0/", "/session_a", "x/session_a"]
)
async def test_a_cursor_that_is_none_of_ours_is_a_value_error(store: Store, cursor: str) -> None:
    with pytest.raises(ValueError, match=r"cursor"):
        await store.page(LIVE, limit=2, cursor=cursor)


async def test_every_state_is_counted(store: Store) -> None:
    assert await store.counts() == dict.fromkeys(State, 0)
    for state in sorted(LIVE):
        await admit(store, a_session(f"session_{state}", state=state))
    over = await admit(store, a_session("session_x"))
    await store.write(failed(over, ErrorReason.LOST, NOON), op="a")
    assert await store.counts() == {**dict.fromkeys(LIVE, 1), State.ENDED: 0, State.ERROR: 1}


async def test_touching_sets_last_active_and_no_revision(store: Store) -> None:
    session = await admit(store, a_session())
    await store.touch(session.id)
    touched = await store.get(session.id)
    assert touched.last_active >= await store.now() - 5
    assert touched == replace(session, last_active=touched.last_active)
    assert (await store.page(LIVE, limit=1)).sessions == [touched]
    changed = await store.write(replace(session, tries=1), op="a")
    assert (await store.get(session.id)).last_active == touched.last_active
    assert changed.rev == session.rev + 1


async def test_touching_what_is_not_there_makes_nothing(store: Store) -> None:
    await store.touch("session_none")
    with pytest.raises(SessionNotFound):
        await store.get("session_none")


# Transcript and log


async def test_the_transcript_keeps_what_was_said_in_order(store: Store) -> None:
    await admit(store, a_session_in(State.READY))
    said = [
        Utterance(speaker=who, text=f"{who} ünd {n}", at=NOON + n, interrupted=n == 2) for n, who in enumerate("uau")
    ]
    for each in said:
        await store.say("session_a", each, attempt=1, job="job_a")
    assert await store.transcript("session_a") == TranscriptPage(said)
    assert await store.transcript("session_a", limit=3) == TranscriptPage(said)
    assert await store.transcript("session_a", limit=2) == TranscriptPage(said[:2], 2)
    assert await store.transcript("session_a", start=2, limit=2) == TranscriptPage(said[2:])
    assert await store.transcript("session_a", start=9, limit=2) == TranscriptPage([])


@pytest.mark.parametrize(
    ("session", "attempt", "job"),
    [
        (a_session_in(State.READY, attempt=2), 1, "job_a"),
        (a_session_in(State.READY, attempt=2), 3, "job_a"),
        (a_session_in(State.READY, attempt=2), 2, "job_b"),
        (a_session_in(State.STARTING, attempt=2, job=None), 2, "job_a"),
        (a_session_in(State.STARTING, attempt=2, job=None), 2, ""),
    ],
)
async def test_an_agent_that_is_not_the_current_one_says_nothing(
    store: Store, session: Session, attempt: int, job: str
) -> None:
    await admit(store, session)
    with pytest.raises(Stale):
        await store.say(session.id, Utterance(speaker="agent", text="boo", at=NOON), attempt=attempt, job=job)
    assert (await store.transcript(session.id)).items == []


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_nothing_is_said_after_the_end(store: Store, state: State) -> None:
    session = await admit(store, a_session_in(State.READY))
    await store.write(session.to(state, NOON, ended_at=NOON), op="a")
    for session_id in (session.id, "session_none"):
        with pytest.raises(Stale):
            await store.say(session_id, Utterance(speaker="agent", text="boo", at=NOON), attempt=1, job="job_a")


async def test_the_log_keeps_its_last_lines(store: Store) -> None:
    await admit(store, a_session())
    for each in range(LOG_LINES + 7):
        await store.log("session_a", "step", level="debug", number=each)
    kept = await store.logs("session_a", limit=10_000)
    assert [entry["number"] for entry in kept] == list(range(7, LOG_LINES + 7))
    assert {key: kept[0][key] for key in kept[0] if key != "at"} == {"level": "debug", "event": "step", "number": 7}
    assert abs(kept[-1]["at"] - await store.now()) < 5
    assert [entry["number"] for entry in await store.logs("session_a", limit=2)] == [LOG_LINES + 5, LOG_LINES + 6]
    assert await store.logs("session_a", limit=0) == []


async def test_a_log_without_a_session_is_not_kept(store: Store) -> None:
    await store.log("session_none", "step")
    assert await store.logs("session_none", limit=5) == []


async def test_a_key_is_new_once_in_its_time(store: Store) -> None:
    assert await store.first_time("event ä", seconds=0.2)
    assert not await store.first_time("event ä", seconds=0.2)
    assert await store.first_time("event b", seconds=60)

    async def new_again() -> bool:
        return await store.first_time("event ä", seconds=60)

    await eventually(new_again)
    assert not await store.first_time("event b", seconds=60)


# The pool


async def test_a_heartbeat_is_stamped_with_the_stores_clock(store: Store) -> None:
    worker = a_worker(seen_at=1.0, agents={"default": ["prompt"]}, providers={"stt": ["moonshine"]}, draining=True)
    before = await store.now()
    await store.beat(worker)
    (seen,) = await store.workers(seen_within=60)
    assert before <= seen.seen_at <= await store.now()
    assert seen == replace(worker, seen_at=seen.seen_at)


async def test_a_newer_heartbeat_replaces_the_older(store: Store) -> None:
    await store.beat(a_worker("worker_b"))
    await store.beat(a_worker("worker_a", idle=3))
    await store.beat(a_worker("worker_a", idle=1))
    assert [(each.id, each.idle) for each in await store.workers(seen_within=60)] == [("worker_a", 1), ("worker_b", 2)]


async def test_a_worker_that_is_silent_is_not_among_those_seen(store: Store) -> None:
    await store.beat(a_worker("worker_a"))

    async def silent() -> bool:
        return await store.workers(seen_within=0.05) == []

    await eventually(silent)
    assert [each.id for each in await store.workers(seen_within=60)] == ["worker_a"]


async def test_totals_count_each_session_that_became_ready_once(store: Store) -> None:
    assert await store.stats() == Stats(0, 0, 0.0)
    await store.count_spawned(3)
    await store.count_spawned(1)
    session = await admit(store, a_session_in(State.STARTING))
    ready = became_ready(session, attempt=1, job="job_a", now=NOON + 0.5, steps={})
    ready = await store.write(ready, op="a")
    gone = await store.write(lost(ready, job="job_a", now=NOON + 3), op="b")
    second = await store.write(dispatched(gone, NOON + 3, deadline=NOON + 5), op="b2")
    claim = await store.write(claimed(second, attempt=2, job="job_b", worker="worker_b", now=NOON + 3), op="c")
    await store.write(became_ready(claim, attempt=2, job="job_b", now=NOON + 4, steps={}), op="d")
    never = await admit(store, a_session(new_session_id()))
    await store.write(failed(never, ErrorReason.NOT_CLAIMED, NOON), op="e")
    assert await store.stats() == Stats(spawned=4, assigned=1, startup_seconds=0.5, failed=1)


async def test_claims_and_checkpoints_that_changed_nothing_are_totalled(store: Store) -> None:
    await store.claim_refused()
    await store.claim_refused()
    session = await admit(store, a_session_in(State.READY))
    await store.keep_checkpoint(session.id, "{}", attempt=1, job="job_a")
    for attempt, job in ((1, "job_b"), (2, "job_a"), (1, "")):
        with pytest.raises(Stale):
            await store.keep_checkpoint(session.id, '{"forged": 1}', attempt=attempt, job=job)
    assert await store.checkpoint(session.id) == "{}"
    await store.write(ended(session, EndReason.STOPPED, NOON), op="end")
    with pytest.raises(Stale):  # it has only come late: the call was stopped under it
        await store.keep_checkpoint(session.id, "{}", attempt=1, job="job_a")
    assert await store.stats() == Stats(0, 0, 0.0, refused_claims=2, refused_checkpoints=3)
