"""What is found when records are held against rooms, and what is left alone."""

from typing import Any

import pytest

from dispatcher.livekit.port import OpenRoom, Participant
from dispatcher.upkeep.reconcile import (
    ABSENT_SECONDS,
    ROUNDS,
    SETTLED_SECONDS,
    CallerIs,
    Lose,
    Repair,
    SendOutGhosts,
    absent,
    repairs,
    worth_a_look,
)
from session.record import CallerPresence, Session, State
from tests.session.making import NOON, a_session_in

LATER = NOON + SETTLED_SECONDS
AGENT = Participant("agent-session_a-2", kind="AGENT")
GHOST = Participant("agent-session_a-1", kind="AGENT")
SUCCESSOR = Participant("agent-session_a-3", kind="AGENT")
CALLER = Participant("caller-session_a")
STRANGER = Participant("agent-recorder", kind="AGENT")


def ready(**changes: Any) -> Session:
    return a_session_in(State.READY, **{"attempt": 2, "caller": CallerPresence.PRESENT, **changes})


def room(**changes: Any) -> dict[str, OpenRoom]:
    return {"session_a": OpenRoom("session_a", "RM_a", **{"people": 1, "publishers": 2, **changes})}


def found_at_last(
    sessions: list[Session], rooms: dict[str, OpenRoom], people: dict[str, list[Participant]]
) -> list[Repair]:
    """What is found when it has been so for long enough."""
    gone = absent(sessions, rooms, people, {}, LATER - ABSENT_SECONDS)
    return repairs(sessions, rooms, people, gone, LATER)


FOUND: list[tuple[str, Session, list[Participant], list[Repair]]] = [
    ("all is well", ready(), [AGENT, CALLER], []),
    ("strangers are left alone", ready(), [AGENT, CALLER, STRANGER], []),
    ("a ghost", ready(), [AGENT, GHOST, CALLER], [SendOutGhosts(ready())]),
    (
        "an agent that somebody else's attempt brought, beside none of ours",
        ready(),
        [GHOST, CALLER],
        [SendOutGhosts(ready()), Lose("session_a", "job_a")],
    ),
    ("an agent that took over since the record was read", ready(), [SUCCESSOR, AGENT, CALLER], []),
    ("no agent", ready(), [CALLER], [Lose("session_a", "job_a")]),
    ("no agent yet", a_session_in(State.STARTING, attempt=2, caller=CallerPresence.PRESENT), [CALLER], []),
    ("a recovery", a_session_in(State.RECOVERING, job=None, attempt=2, caller=CallerPresence.PRESENT), [CALLER], []),
    ("the caller's leaving was not told", ready(), [AGENT], [CallerIs("session_a", CallerPresence.AWAY)]),
    (
        "the caller's coming was not told",
        ready(caller=CallerPresence.ABSENT),
        [AGENT, CALLER],
        [CallerIs("session_a", CallerPresence.PRESENT)],
    ),
    ("the caller is away and the record says so", ready(caller=CallerPresence.AWAY), [AGENT], []),
    (
        "a reserved session whose caller has come",
        a_session_in(State.RESERVED),
        [CALLER],
        [CallerIs("session_a", CallerPresence.PRESENT)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("session", "there", "found"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND])
def test_what_is_found_in_a_room(session: Session, there: list[Participant], found: list[Repair]) -> None:
    assert found_at_last([session], room(), {"session_a": there}) == found


def test_a_ready_session_without_its_room_has_lost_its_agent() -> None:
    assert found_at_last([ready()], {}, {}) == [Lose("session_a", "job_a")]


@pytest.mark.parametrize("rooms", [room(), {}], ids=["in its room", "with its room"])
def test_an_agent_that_has_just_gone_may_come_back_by_itself(rooms: dict[str, OpenRoom]) -> None:
    people = {each: [CALLER] for each in rooms}
    gone = absent([ready()], rooms, people, {}, LATER)
    assert gone == {"job_a": LATER}
    assert repairs([ready()], rooms, people, gone, LATER + ABSENT_SECONDS - 0.1) == []
    back = {"session_a": [AGENT, CALLER]}
    assert absent([ready()], room(), back, gone, LATER + 1) == {}


def test_what_was_absent_is_looked_for_again_before_it_counts_as_lost() -> None:
    gone = {"job_a": LATER}
    later = LATER + ABSENT_SECONDS
    assert all(worth_a_look([ready()], room(), gone, turn=turn, now=later) for turn in range(ROUNDS))
    assert absent([ready()], room(), {}, gone, later) == gone  # nobody had the time
    assert repairs([ready()], room(), {}, gone, later) == []


@pytest.mark.parametrize("state", [State.STARTING, State.QUEUED, State.RECOVERING, State.RESERVED])
def test_other_sessions_may_be_without_a_room(state: State) -> None:
    assert found_at_last([a_session_in(state)], {}, {}) == []


@pytest.mark.parametrize("fresh", [{"since": NOON + 1}, {"progress_at": NOON + 1}])
def test_what_has_just_changed_is_left_alone(fresh: dict[str, float]) -> None:
    assert found_at_last([ready(**fresh)], {}, {}) == []
    assert found_at_last([ready(**fresh)], room(), {"session_a": [CALLER]}) == []
    assert worth_a_look([ready(**fresh)], room(people=0), {}, turn=0, now=LATER) == []


def test_a_room_that_was_not_looked_into_is_left_alone() -> None:
    assert found_at_last([ready()], room(), {}) == []


def looked_at(session: Session, **counts: int) -> int:
    """In how many of ROUNDS turns its room is looked into."""
    return sum(len(worth_a_look([session], room(**counts), {}, turn=turn, now=LATER)) for turn in range(ROUNDS))


@pytest.mark.parametrize(
    "counts",
    [{"people": 0}, {"people": 2}, {"publishers": 0}, {"publishers": 3}],
    ids=["nobody there", "one too many", "no agent", "two agents"],
)
def test_a_room_whose_counts_do_not_fit_is_looked_into_each_time(counts: dict[str, int]) -> None:
    assert looked_at(ready(), **counts) == ROUNDS


@pytest.mark.parametrize("publishers", [1, 2], ids=["a caller who only types", "a caller who speaks"])
def test_a_room_whose_counts_fit_is_looked_into_once_a_round(publishers: int) -> None:
    assert looked_at(ready(), publishers=publishers) == 1


def test_the_rooms_that_fit_take_turns() -> None:
    sessions = [
        a_session_in(State.READY, session_id=f"session_{n}", attempt=2, caller=CallerPresence.PRESENT)
        for n in range(30)
    ]
    rooms = {each.room: OpenRoom(each.room, "RM", people=1, publishers=2) for each in sessions}
    turns = [worth_a_look(sessions, rooms, {}, turn=turn, now=LATER) for turn in range(ROUNDS)]
    assert sorted(each.id for some in turns for each in some) == sorted(each.id for each in sessions)
    assert max(len(some) for some in turns) < len(sessions) / 2
