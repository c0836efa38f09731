import json
import re

import pytest

from session.errors import BadMetadata
from session.fence import (
    MAX_METADATA_BYTES,
    Ticket,
    adopted_session_id,
    agent_identity,
    caller_identity,
    read_ticket,
    requested_agent,
    reserved,
)
from session.reservation import Reservation
from session.store.ports import RESERVED_SECONDS
from tests.session.making import NOON

GOOD = {"v": 1, "session": "session_a", "attempt": 2}


def test_a_ticket_is_read_as_it_was_written() -> None:
    ticket = Ticket("session_a", 2)
    assert read_ticket(ticket.to_json()) == ticket
    assert len(ticket.to_json()) < MAX_METADATA_BYTES


def test_a_ticket_may_bring_its_session_along() -> None:
    ticket = Ticket("session_a", 1, Reservation(at=NOON, agent="shop", metadata={"a": "é"}))
    assert ticket.to_json().isascii()
    assert read_ticket(ticket.to_json()) == ticket


def test_a_session_is_reserved_for_its_own_room_as_long_as_its_token_lives() -> None:
    ticket = Ticket("session_a", 1, Reservation(at=NOON))
    assert reserved(ticket, "session_a", NOON) == ticket.reservation
    assert reserved(ticket, "session_a", NOON - 60) == ticket.reservation  # the store's clock was set back
    assert reserved(ticket, "session_a", NOON + RESERVED_SECONDS - 1) == ticket.reservation
    assert reserved(ticket, "session_a", NOON + RESERVED_SECONDS) is None
    assert reserved(Ticket("session_a", 1), "session_a", NOON) is None


@pytest.mark.parametrize(
    ("ticket", "room"),
    [
        pytest.param(Ticket("session_a", 1, Reservation(at=NOON)), "session_b", id="another session's room"),
        pytest.param(Ticket("support", 1, Reservation(at=NOON)), "support", id="a room that is none of ours"),
        pytest.param(Ticket("session_a", 2, Reservation(at=NOON)), "session_a", id="a later attempt"),
    ],
)
def test_nothing_is_reserved_elsewhere(ticket: Ticket, room: str) -> None:
    with pytest.raises(BadMetadata):
        reserved(ticket, room, NOON)


@pytest.mark.parametrize("metadata", ["", "  \n", "{}", '{"agent": "nurse"}', '{"v": 1, "attempt": 1}'])
def test_metadata_that_names_no_session_is_somebody_elses(metadata: str) -> None:
    assert read_ticket(metadata) is None


@pytest.mark.parametrize("version", [0, 1])
def test_this_version_and_the_one_before_are_read(version: int) -> None:
    assert read_ticket(json.dumps({**GOOD, "v": version, "new": "field"})) == Ticket("session_a", 2)


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param("not json", id="not JSON"),
        pytest.param('{"session": "session_a", "attempt": 1, "v": 1', id="cut off"),
        pytest.param("[" * 4000, id="too deep"),
        pytest.param('"session_a"', id="a string"),
        pytest.param("[1]", id="a list"),
        pytest.param("null", id="null"),
        pytest.param(json.dumps({**GOOD, "pad": "x" * MAX_METADATA_BYTES}), id="too long"),
        pytest.param(
            json.dumps({**GOOD, "pad": "é" * (MAX_METADATA_BYTES // 2)}, ensure_ascii=False), id="long in bytes"
        ),
        *(
            pytest.param(json.dumps({**GOOD, **wrong}), id=str(wrong))
            for wrong in (
                {"session": None},
                {"session": 7},
                {"session": ["session_a"]},
                {"attempt": 0},
                {"attempt": -1},
                {"attempt": "1"},
                {"attempt": 1.0},
                {"attempt": True},
                {"attempt": None},
                {"reservation": None},
                {"reservation": {"at": "noon"}},
                {"v": 2},
                {"v": -1},
                {"v": "1"},
                {"v": True},
                {"v": None},
            )
        ),
        pytest.param('{"v": 1, "session": "session_a"}', id="no attempt"),
        pytest.param('{"session": "session_a", "attempt": 1}', id="no version"),
    ],
)
def test_tampered_metadata_is_refused(metadata: str) -> None:
    with pytest.raises(BadMetadata):
        read_ticket(metadata)


@pytest.mark.parametrize(
    ("metadata", "agent"),
    [
        ('{"agent": "nurse"}', "nurse"),
        ("", None),
        ("{}", None),
        ('{"agent": 7}', None),
        ('["agent"]', None),
        ("nurse", None),
        ("[" * 100_000, None),
    ],
)
def test_a_foreign_room_may_ask_for_an_agent(metadata: str, agent: str | None) -> None:
    assert requested_agent(metadata) == agent


def test_identities_are_one_per_attempt_and_one_per_session() -> None:
    assert agent_identity("session_a", 2) == "agent-session_a-2"
    assert agent_identity("session_a", 2) != agent_identity("session_a", 3)
    assert caller_identity("session_a") == "caller-session_a"


def test_an_adopted_room_has_one_id_that_only_the_secret_gives() -> None:
    adopted = adopted_session_id("secret", "RM_a")
    assert re.fullmatch(r"session_[0-9a-f]{32}", adopted)
    assert adopted == adopted_session_id("secret", "RM_a")
    assert len({adopted, adopted_session_id("secret", "RM_b"), adopted_session_id("other", "RM_a")}) == 3
