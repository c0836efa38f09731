import json
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import pytest

from session.errors import UnreadableRecord
from session.record import CallerPresence, EndReason, ErrorReason, Session, State
from session.store.codec import entry_from_json, entry_to_json, from_dict, from_json, to_dict, to_json
from session.store.ports import Utterance, Worker
from tests.session.making import NOON, a_session, a_worker

FULL = Session(
    id="session_a",
    room="room_a",
    state=State.ENDED,
    created_at=NOON + 0.123456,
    since=NOON,
    agent="nurse",
    rev=7,
    attempt=3,
    tries=1,
    recoveries=2,
    job="job_a",
    worker="worker_a",
    owner="key_a",
    user_id="üser",
    user_name="Ann",
    metadata={"deep": [1, {"er": None}], "lone": "\ud800"},
    config={"voice": "low"},
    prewarmed=True,
    adopted=True,
    caller=CallerPresence.AWAY,
    caller_since=NOON + 1,
    last_active=NOON + 2,
    deadline=NOON + 3,
    ready_at=NOON + 4,
    ended_at=NOON + 5,
    end_reason=EndReason.CALLER_LEFT,
    error=ErrorReason.LOST,
    room_made=True,
    greeted=True,
    phone={"from": "+431", "to": "+432", "call_id": "SCL_1"},
    rtvi="2.1.0",
    steps={"room": 3.25},
    claimable=False,
    accepted="job_a",
    deployment="blue",
    progress_at=NOON,
    losses=(NOON,),
    farewell=True,
    cut_off=True,
)
WORKER = a_worker(
    draining=True,
    left=True,
    prewarm=3,
    cordoned=True,
    failed_warmups=1,
    deployment="blue",
    seen_at=NOON,
    clock=NOON,
    agents={"default": ["prompt"]},
    providers={"stt": ["moonshine"]},
)
SAID = Utterance(speaker="user", text="Bonjour, ça va?", at=NOON, interrupted=True)


def test_the_examples_leave_no_field_at_its_default() -> None:
    for record in (FULL, WORKER, SAID):
        assert [each.name for each in fields(record) if getattr(record, each.name) == each.default] == []


@pytest.mark.parametrize("record", [FULL, WORKER, SAID, a_session()])
def test_a_record_is_read_as_it_was_written(record: Any) -> None:
    text = to_json(record)
    assert text.isascii()
    assert from_json(type(record), text) == record
    assert from_dict(type(record), json.loads(text)) == record


def test_what_is_written_carries_its_version_and_plain_strings() -> None:
    data = json.loads(to_json(FULL))
    assert (data["v"], data["state"], data["end_reason"], data["caller"]) == (1, "ended", "caller_left", "away")


def test_any_mapping_can_be_written() -> None:
    assert from_json(Session, to_json(a_session(config=MappingProxyType({"a": 1})))).config == {"a": 1}


@pytest.mark.parametrize("metadata", [{"x": float("nan")}, {"x": object()}])
def test_what_json_cannot_hold_is_refused_when_it_is_written(metadata: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        to_json(a_session(metadata=metadata))


@pytest.mark.parametrize("version", [0, 1])
def test_this_version_and_the_one_before_are_readable(version: int) -> None:
    assert from_dict(Session, {**to_dict(FULL), "v": version}) == FULL


def test_unknown_fields_are_ignored_and_absent_ones_have_defaults() -> None:
    data = {"v": 0, "id": "a", "room": "a", "state": "queued", "created_at": 1, "since": 2, "colour": "red"}
    assert from_dict(Session, data) == Session(id="a", room="a", state=State.QUEUED, created_at=1.0, since=2.0)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"v": 2}, "version"),
        ({"v": -1}, "version"),
        ({"v": None}, "version"),
        ({"v": "1"}, "version"),
        ({"v": True}, "version"),
        ({"state": "asleep"}, "state"),
        ({"state": None}, "state"),
        ({"rev": "many"}, "rev"),
        ({"created_at": None}, "created_at"),
        ({"metadata": ["whisper"]}, "metadata"),
        ({"user_name": ["whisper"]}, "user_name"),
        ({"error": "whisper"}, "error"),
    ],
)
def test_a_wrong_field_is_named_and_its_content_never_shown(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(UnreadableRecord, match=named) as caught:
        from_dict(Session, {**to_dict(FULL), **wrong})
    assert "whisper" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"v"', "[" * 100_000, "\x00", '{"v": 1}'])
@pytest.mark.parametrize("kind", [Session, Worker, Utterance])
def test_what_is_no_record_is_unreadable(kind: Any, text: str) -> None:
    with pytest.raises(UnreadableRecord):
        from_json(kind, text)


def test_a_log_entry_keeps_its_facts_whatever_they_are() -> None:
    text = entry_to_json("claimed", "warning", {"job": "job_a", "odd": State, "at": "mine"})
    entry = entry_from_json(text, NOON)
    assert entry == {"at": NOON, "level": "warning", "event": "claimed", "job": "job_a", "odd": str(State)}


@pytest.mark.parametrize("text", ["", "[]", "nonsense"])
def test_what_is_no_log_entry_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableRecord):
        entry_from_json(text, NOON)


@pytest.mark.parametrize(
    ("steps", "made", "heard"),
    [({}, False, False), ({"room": 4.0}, True, False), ({"room": 4.0, "first_audio": 500.0}, True, True)],
)
def test_a_record_of_the_release_before_tells_by_its_waterfall_what_has_fields_now(
    steps: Any, made: bool, heard: bool
) -> None:
    before = to_dict(a_session(steps=steps))
    del before["room_made"], before["greeted"]
    session = from_dict(Session, before)
    assert (session.room_made, session.greeted) == (made, heard)
