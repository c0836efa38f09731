"""What every store must do, in memory and in a real Valkey alike."""

import random
from dataclasses import replace
from typing import Any

import pytest

from session.errors import Conflict, NoCapacity, SessionNotFound, Stale
from session.record import (
    LIVE,
    NEXT,
    SEATED,
    EndReason,
    ErrorReason,
    Session,
    State,
    claimed,
    dispatched,
    ended,
    failed,
)
from session.store.ports import Utterance, update
from tests.session.making import NOON, Opener, Store, a_session, a_session_in, admit, eventually

pytestmark = pytest.mark.anyio


# Reading and writing


async def test_a_started_session_is_read_as_it_was(store: Store) -> None:
    session = a_session(metadata={"a": [1, 2.5, None]}, config={"voice": "low"}, steps={"room": 3.25}, user_id="ann")
    await admit(store, session)
    assert await store.get(session.id) == session


async def test_an_unknown_session_is_not_found(store: Store) -> None:
    with pytest.raises(SessionNotFound):
        await store.get("session_none")
    with pytest.raises(SessionNotFound):
        await store.write(a_session("session_none"), op="a")
    assert (await store.transcript("session_none")).items == []
    assert await store.logs("session_none", limit=5) == []


async def test_a_write_has_the_next_revision(store: Store) -> None:
    session = await admit(store, a_session())
    changed = await store.write(replace(session, tries=2), op="a")
    assert changed == replace(session, tries=2, rev=session.rev + 1)
    assert await store.get(session.id) == changed


async def test_the_stores_clock_runs(store: Store) -> None:
    before = await store.now()
    assert before > NOON

    async def later() -> bool:
        return await store.now() > before

    await eventually(later)


# Races, as the interleavings they are


async def test_of_two_that_read_the_same_the_second_to_write_conflicts(store: Store) -> None:
    await admit(store, a_session())
    first, second = await store.get("session_a"), await store.get("session_a")
    await store.write(first.to(State.STARTING, NOON, attempt=2), op="a")
    with pytest.raises(Conflict):
        await store.write(second.to(State.STARTING, NOON, attempt=2), op="b")
    assert (await store.get("session_a")).rev == first.rev + 1


async def test_the_second_of_two_claims_is_refused(store: Store) -> None:
    await admit(store, a_session())
    first, second = await store.get("session_a"), await store.get("session_a")
    mine = claimed(first, attempt=1, job="job_a", worker="worker_a", now=NOON)
    theirs = claimed(second, attempt=1, job="job_b", worker="worker_b", now=NOON)
    await store.write(mine, op="a")
    with pytest.raises(Conflict):
        await store.write(theirs, op="b")
    with pytest.raises(Stale):
        await update(store, "session_a", lambda s, now: claimed(s, attempt=1, job="job_b", worker="worker_b", now=now))
    assert (await store.get("session_a")).job == "job_a"


async def test_an_end_that_was_decided_on_an_old_reading_changes_nothing(store: Store, outgoing: Any) -> None:
    await admit(store, a_session_in(State.READY))
    old = await store.get("session_a")
    await store.write(dispatched(old, NOON, deadline=NOON), op="a")
    with pytest.raises(Conflict):
        await store.write(failed(old, ErrorReason.LOST, NOON), op="b")
    assert (await store.get("session_a")).state is State.RECOVERING
    assert await outgoing(store) == []


async def test_an_update_decides_again_when_somebody_was_faster(store: Store) -> None:
    await admit(store, a_session())
    old = await store.get("session_a")
    await store.write(replace(old, recoveries=1), op="a")
    assert (await update(store, "session_a", lambda s, now: replace(s, recoveries=s.recoveries + 1))).recoveries == 2


# Replies that were lost


async def test_a_repeated_write_answers_what_it_did_and_does_it_once(store: Store, outgoing: Any) -> None:
    session = await admit(store, a_session_in(State.READY))
    over = ended(session, EndReason.STOPPED, NOON)
    first = await store.write(over, op="a")
    assert await store.write(over, op="a") == first == await store.get("session_a")
    assert await outgoing(store) == [first]


async def test_a_write_repeated_after_anothers_conflicts(store: Store) -> None:
    session = await admit(store, a_session())
    changed = await store.write(replace(session, tries=1), op="a")
    await store.write(replace(changed, tries=2), op="b")
    with pytest.raises(Conflict):
        await store.write(replace(session, tries=1), op="a")
    assert (await store.get("session_a")).tries == 2


async def test_a_repeated_start_answers_what_it_did_and_does_it_once(store: Store) -> None:
    first = await store.start(a_session("session_a"), max_seats=1, op="a")
    again = await store.start(a_session("session_b"), max_seats=1, op="a")
    assert again == first
    assert await store.seats() == 1
    with pytest.raises(SessionNotFound):
        await store.get("session_b")


async def test_an_id_that_exists_answers_what_stands(store: Store) -> None:
    await admit(store, a_session())
    changed = await store.write(replace(await store.get("session_a"), tries=2), op="x")
    result = await store.start(a_session(), max_seats=0, op="b")
    assert (result.session, result.reused) == (changed, False)


# Reuse


async def test_a_users_live_session_is_given_back_even_when_all_seats_are_taken(store: Store) -> None:
    mine = await admit(store, a_session("session_a", owner="key_a", user_id="ann"))
    result = await store.start(a_session("session_b", owner="key_a", user_id="ann"), max_seats=1, op="b")
    assert result.reused
    assert (result.session.id, result.session.rev) == (mine.id, mine.rev)
    assert result.session.last_active > mine.last_active
    assert await store.seats() == 1


@pytest.mark.parametrize(
    ("owner", "user_id"), [("key_b", "ann"), ("key_a", "bob"), ("key_a", None), ("", "key_a:ann"), ("key_a:ann", "")]
)
async def test_nobody_else_is_given_that_session(store: Store, owner: str, user_id: str | None) -> None:
    await admit(store, a_session("session_a", owner="key_a", user_id="ann"))
    result = await store.start(a_session("session_b", owner=owner, user_id=user_id), max_seats=9, op="b")
    assert (result.session.id, result.reused) == ("session_b", False)


async def test_the_anonymous_never_share_a_session(store: Store) -> None:
    await admit(store, a_session("session_a"))
    await admit(store, a_session("session_b"))
    assert await store.seats() == 2


@pytest.mark.parametrize("state", sorted(LIVE - {State.RESERVED}))
async def test_every_live_state_but_reserved_is_given_back(store: Store, state: State) -> None:
    await admit(store, a_session_in(state, user_id="ann"))
    assert (await store.start(a_session("session_b", user_id="ann"), max_seats=9, op="b")).reused


async def test_a_session_that_is_over_is_not_given_back(store: Store) -> None:
    session = await admit(store, a_session("session_a", user_id="ann"))
    await store.write(ended(session, EndReason.STOPPED, NOON), op="a")
    await admit(store, a_session("session_b", user_id="ann"))
    assert (await store.start(a_session("session_c", user_id="ann"), max_seats=9, op="c")).session.id == "session_b"


async def test_a_reserved_session_is_the_users_once_it_is_claimed(store: Store) -> None:
    reserved = await admit(store, a_session("session_a", state=State.RESERVED, user_id="ann"))
    await admit(store, a_session("session_b", state=State.RESERVED, user_id="ann"))
    await store.write(claimed(reserved, attempt=1, job="job_a", worker="worker_a", now=NOON), op="a")
    result = await store.start(a_session("session_c", user_id="ann"), max_seats=9, op="c")
    assert (result.session.id, result.reused) == ("session_a", True)


async def test_the_end_of_another_session_leaves_the_users_live_one(store: Store) -> None:
    first = await admit(store, a_session("session_a", state=State.RESERVED, user_id="ann"))
    await admit(store, a_session("session_b", user_id="ann"))
    await store.write(ended(first, EndReason.NOT_JOINED, NOON), op="a")
    assert (await store.start(a_session("session_c", user_id="ann"), max_seats=9, op="c")).session.id == "session_b"


# Seats


async def test_a_start_without_a_free_seat_is_refused_and_leaves_nothing(store: Store) -> None:
    await admit(store, a_session("session_a"), max_seats=1)
    with pytest.raises(NoCapacity):
        await admit(store, a_session("session_b", user_id="ann"), max_seats=1)
    with pytest.raises(SessionNotFound):
        await store.get("session_b")
    assert (await store.counts())[State.STARTING] == await store.seats() == 1
    await admit(store, a_session("session_c", user_id="ann"), max_seats=2)


@pytest.mark.parametrize("state", [State.RESERVED, State.QUEUED])
async def test_who_only_waits_takes_no_seat(store: Store, state: State) -> None:
    session = await admit(store, a_session(state=state), max_seats=0)
    assert await store.seats() == 0
    with pytest.raises(NoCapacity):
        await store.write(dispatched(session, NOON, deadline=NOON), op="a", max_seats=0)
    assert await store.get(session.id) == session
    await store.write(dispatched(session, NOON, deadline=NOON), op="b", max_seats=1)
    assert await store.seats() == 1


async def test_who_has_a_seat_keeps_it_however_few_there_are_now(store: Store) -> None:
    session = await admit(store, a_session_in(State.READY))
    assert (await store.write(dispatched(session, NOON, deadline=NOON), op="a", max_seats=0)).state is State.RECOVERING


async def test_the_last_seat_goes_to_the_first_of_two(store: Store) -> None:
    first = await admit(store, a_session("session_a", state=State.QUEUED))
    second = await admit(store, a_session("session_b", state=State.QUEUED))
    await store.write(dispatched(first, NOON, deadline=NOON), op="a", max_seats=1)
    with pytest.raises(NoCapacity):
        await store.write(dispatched(second, NOON, deadline=NOON), op="b", max_seats=1)


@pytest.mark.parametrize("seed", range(4))
async def test_seats_are_conserved_whatever_happens(store: Store, seed: int) -> None:
    chance, seen, written = random.Random(seed), dict[str, list[Session]](), 0
    for step in range(120):
        if len(seen) < 3 or chance.random() < 0.2:
            session = a_session(f"session_{step}", state=chance.choice(sorted(LIVE)), created_at=NOON + step)
            try:
                seen[session.id] = [await admit(store, session, max_seats=3)]
            except NoCapacity:
                assert await store.seats() == 3
        else:
            readings = chance.choice(list(seen.values()))
            old = chance.choice(readings[-2:])  # often the newest reading, sometimes the one before
            after = chance.choice([old.state, *sorted(NEXT[old.state])])
            try:
                readings.append(await store.write(replace(old, state=after), op=f"op {step // 2}", max_seats=3))
                written += 1
            except (Conflict, NoCapacity):
                pass
        if step % 10 == 9:
            kept = [(await store.get(each)).state for each in seen]
            assert await store.seats() == sum(state in SEATED for state in kept) <= 3
            assert await store.counts() == {state: kept.count(state) for state in State}
    assert written > 20


# Endings


@pytest.mark.parametrize("end", [ended, failed])
async def test_an_end_frees_the_seat_and_sends_out_one_record(store: Store, outgoing: Any, end: Any) -> None:
    session = await admit(store, a_session_in(State.READY))
    reason = EndReason.CALLER_LEFT if end is ended else ErrorReason.PROVIDER_FAILED
    over = await store.write(end(session, reason, NOON + 9), op="a")
    assert await store.seats() == 0
    assert await outgoing(store) == [over]
    noted = await store.write(replace(over, steps={"after": 1.0}), op="b")
    assert await outgoing(store) == [over]
    assert await store.get("session_a") == noted


async def test_records_are_sent_out_in_the_order_of_their_ends(store: Store, outgoing: Any) -> None:
    sessions = [await admit(store, a_session(f"session_{each}")) for each in "abc"]
    for session in reversed(sessions):
        await store.write(ended(session, EndReason.STOPPED, NOON), op=session.id)
    assert [each.id for each in await outgoing(store)] == ["session_c", "session_b", "session_a"]


async def test_an_ended_session_is_forgotten_with_all_that_belongs_to_it(opened: Opener) -> None:
    store = await opened(keep_seconds=0.3)
    session = await admit(store, a_session_in(State.READY, user_id="ann"))
    await store.say(session.id, Utterance(speaker="user", text="Hello", at=NOON), attempt=1, job="job_a")
    await store.log(session.id, "said")
    await store.write(ended(session, EndReason.STOPPED, NOON), op="a")
    await store.log(session.id, "ended")
    assert (await store.get(session.id)).state is State.ENDED
    assert [len((await store.transcript(session.id)).items), len(await store.logs(session.id, limit=9))] == [1, 2]

    async def forgotten() -> bool:
        try:
            await store.get(session.id)
        except SessionNotFound:
            return True
        return False

    await eventually(forgotten)
    assert (await store.transcript(session.id)).items == []
    assert await store.logs(session.id, limit=9) == []

    async def uncounted() -> bool:
        return (await store.counts())[State.ENDED] == 0

    await eventually(uncounted)
    assert (await store.page(set(State), limit=9)).sessions == []


async def test_the_time_to_live_begins_at_the_end_not_before(opened: Opener) -> None:
    store = await opened(keep_seconds=0.01)
    await admit(store, a_session("session_a"))
    other = await admit(store, a_session("session_b"))
    await store.write(ended(other, EndReason.STOPPED, NOON), op="a")

    async def other_is_gone() -> bool:
        return (await store.counts())[State.ENDED] == 0

    await eventually(other_is_gone)
    assert (await store.get("session_a")).state is State.STARTING


async def test_who_is_over_begins_no_second_time_though_its_record_is_gone(opened: Opener) -> None:
    store = await opened(keep_seconds=0.01)
    session = await admit(store, a_session("session_a"))
    await store.write(ended(session, EndReason.STOPPED, NOON), op="a")

    async def gone() -> bool:
        return (await store.counts())[State.ENDED] == 0

    await eventually(gone)
    with pytest.raises(SessionNotFound):
        await store.start(a_session("session_a"), max_seats=9, op="again")
    assert await store.seats() == 0
    await store.start(a_session("session_b"), max_seats=9, op="b")
