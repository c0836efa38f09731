"""What does not fit together between records and rooms, and what to do about it, by pure rules for the slow loop."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dispatcher.livekit.participants import is_caller, is_ghost
from dispatcher.livekit.port import OpenRoom, Participant
from session.fence import agent_identity
from session.record import CallerPresence, Session, State

SETTLED_SECONDS = 5.0  # after a change, before a record and its room may be held against each other
ABSENT_SECONDS = 4.0  # for an agent whose connection is being renewed, or whose server restarts, to come back by itself
ROUNDS = 15  # of looking, after which every room has been looked into once even if nothing seems wrong with it


@dataclass(frozen=True, slots=True)
class SendOutGhosts:
    """Agents of earlier attempts are in the session's room."""

    session: Session


@dataclass(frozen=True, slots=True)
class Lose:
    """The session's agent is not in its room, or its room is gone."""

    session_id: str
    job: str


@dataclass(frozen=True, slots=True)
class CallerIs:
    """The caller is there, or is not, and the record says otherwise: a webhook was lost."""

    session_id: str
    caller: CallerPresence


Repair = SendOutGhosts | Lose | CallerIs


def worth_a_look(
    sessions: Iterable[Session],
    rooms: Mapping[str, OpenRoom],
    absent_since: Mapping[str, float],
    *,
    turn: int,
    now: float,
) -> Sequence[Session]:
    """The sessions whose room should be looked into now.

    Args:
        sessions: live ones.
        rooms: by name.
        absent_since: what `absent` has found the last time.
        turn: grows by one each time.
        now: Unix seconds.
    """
    chosen = []
    for session in sessions:
        room = rooms.get(session.room)
        if room is None or now - max(session.since, session.progress_at) < SETTLED_SECONDS:
            continue
        if _looks_wrong(session, room) or session.job in absent_since or (turn + _number(session.id)) % ROUNDS == 0:
            chosen.append(session)
    return chosen


def absent(
    sessions: Iterable[Session],
    rooms: Mapping[str, OpenRoom],
    people: Mapping[str, Collection[Participant]],
    before: Mapping[str, float],
    now: float,
) -> dict[str, float]:
    """Jobs whose agent is not where it should be, each with the time since which, Unix seconds.

    Args:
        sessions: live ones, as they were read before the rooms were.
        rooms: by name; all of them.
        people: who is in those rooms that were looked into, by the room's name.
        before: what was found the last time; it stands where nobody has looked again.
        now: Unix seconds, when the sessions were read.
    """
    found: dict[str, float] = {}
    for session in sessions:
        if session.state is State.READY and session.job is not None:
            looked_into = session.room in people or session.room not in rooms
            there = {each.identity for each in people.get(session.room, ())}
            if agent_identity(session.id, session.attempt) not in there if looked_into else session.job in before:
                found[session.job] = before.get(session.job, now)
    return found


def repairs(
    sessions: Iterable[Session],
    rooms: Mapping[str, OpenRoom],
    people: Mapping[str, Collection[Participant]],
    absent_since: Mapping[str, float],
    now: float,
) -> list[Repair]:
    """What is to be done.

    Args:
        sessions: live ones, as they were read before the rooms were.
        rooms: by name; all of them.
        people: who is in those rooms that were looked into, by the room's name.
        absent_since: what `absent` has found.
        now: Unix seconds, when the sessions were read.
    """
    found: list[Repair] = []
    for session in sessions:
        if now - max(session.since, session.progress_at) < SETTLED_SECONDS:
            continue
        if session.room in people:
            found += _inside(session, people[session.room])
        elif session.room in rooms:
            continue
        if session.job is not None and now - absent_since.get(session.job, now) >= ABSENT_SECONDS:
            found.append(Lose(session.id, session.job))
    return found


def _inside(session: Session, there: Collection[Participant]) -> list[Repair]:
    """What is wrong in a room that was looked into, but for an agent that is not there."""
    found: list[Repair] = []
    if any(is_ghost(session, each) for each in there):
        found.append(SendOutGhosts(session))
    caller_there = any(is_caller(session, each) for each in there)
    if caller_there and session.caller is not CallerPresence.PRESENT:
        found.append(CallerIs(session.id, CallerPresence.PRESENT))
    elif not caller_there and session.caller is CallerPresence.PRESENT:
        found.append(CallerIs(session.id, CallerPresence.AWAY))
    return found


def _looks_wrong(session: Session, room: OpenRoom) -> bool:
    """Whether the room's counts do not fit: LiveKit counts people without agents, and all who publish a track."""
    people = 1 if session.caller is CallerPresence.PRESENT else 0
    agents = 1 if session.state is State.READY else 0
    return room.people != people or not agents <= room.publishers <= agents + people


def _number(session_id: str) -> int:
    """Any number, always the same for an id."""
    return sum(session_id.encode())
