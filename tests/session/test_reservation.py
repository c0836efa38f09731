from typing import Any

import pytest

from session.errors import BadMetadata
from session.record import State
from session.reservation import Reservation, read_reservation, taken_up
from tests.session.making import NOON

WHOLE = Reservation(
    at=NOON,
    agent="shop",
    deployment="green",
    owner="key:acme",
    user_name="Ann",
    metadata={"order": [1, 2.5, None]},
    config={"voice": "low"},
)


@pytest.mark.parametrize("reservation", [Reservation(at=NOON), WHOLE])
def test_it_is_read_as_it_was_written(reservation: Reservation) -> None:
    assert read_reservation(reservation.to_dict()) == reservation


def test_what_is_empty_is_not_written_and_what_is_unknown_is_not_read() -> None:
    assert Reservation(at=NOON).to_dict() == {"at": NOON, "agent": "default"}
    assert read_reservation({"at": NOON, "mood": "good"}) == Reservation(at=NOON)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"at": "noon"},
        {"at": float("nan")},
        {"at": float("inf")},
        {"at": NOON, "agent": 5},
        {"at": NOON, "user_name": ["Ann"]},
        {"at": NOON, "metadata": "vip"},
        {"at": NOON, "config": [1]},
    ],
)
def test_what_is_missing_or_wrong_is_refused(data: Any) -> None:
    with pytest.raises(BadMetadata):
        read_reservation(data)


def test_its_session_begins_when_its_caller_has_come() -> None:
    session = taken_up("session_a", WHOLE, NOON + 90, deadline=NOON + 92)
    assert (session.id, session.room, session.state, session.attempt) == ("session_a", "session_a", State.STARTING, 1)
    assert session.created_at == session.since == session.progress_at == NOON + 90
    assert (session.deadline, session.room_made, session.steps) == (NOON + 92, True, {"request": 0.0})
    assert (session.agent, session.deployment, session.owner) == ("shop", "green", "key:acme")
    assert (session.user_name, session.metadata, session.config) == ("Ann", WHOLE.metadata, WHOLE.config)
