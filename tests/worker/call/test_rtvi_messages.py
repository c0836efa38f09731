"""RTVI's messages: what a page sends is read with care, and what it is sent is what Pipecat's own models say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pipecat.processors.frameworks.rtvi import models
from pydantic import BaseModel

from pipeline.talk.turn_observer import Activity
from worker.call.rtvi_messages import (
    LABEL,
    MAX_ID,
    PROTOCOL,
    UNKNOWN,
    Message,
    Request,
    Sentences,
    bot_ready,
    complaint,
    error_response,
    event,
    read,
    takes_user_input,
    user_input,
    user_transcription,
    version_of,
)

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def packet(**message: Any) -> bytes:
    return json.dumps({"label": LABEL, "type": "send-text", "id": "1", **message}).encode()


def test_a_request_is_read() -> None:
    assert read(packet(data={"content": "Hi"})) == Request("1", "send-text", {"content": "Hi"})
    assert read(packet(id="i" * 100)) == Request("i" * MAX_ID, "send-text", {})


@pytest.mark.parametrize(
    "odd",
    [b"", b"\xff\xfe", b"[]", b"7", b"{" * 15_000, b"[" * 15_000, b'{"label":"rtvi-ai"}', b'{"label":1,"type":"x"}'],
)
def test_what_is_no_request_is_none(odd: bytes) -> None:
    assert read(odd) is None


@pytest.mark.parametrize("field", [{"id": 7}, {"id": None}, {"data": "text"}, {"data": [1]}, {"data": None}])
def test_odd_parts_of_a_request_are_left_out(field: dict[str, Any]) -> None:
    request = read(packet(**field))
    assert request is not None
    assert (request.id in ("", "1"), request.data) == (True, {})


def test_a_page_of_the_version_before_is_answered_in_its_own() -> None:
    for said, ours in (("1.4.0", "1.4.0"), ("2.1.0", PROTOCOL), ("7.0.0", PROTOCOL), (UNKNOWN, PROTOCOL)):
        assert bot_ready("1", said)["data"]["version"] == ours
    assert [complaint(version) == "" for version in ("1.4.0", "2.1.0", "3.0.0", UNKNOWN)] == [True, True, False, False]
    assert [takes_user_input(version) for version in ("1.4.0", "2.1.0", "2.2.0", "2.10.0")] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("version", [None, 2, "2", "2.1", "a.b.c", "2.1.0\n", "9" * 5000 + ".1.1", "²." * 2 + "1"])
def test_a_version_that_is_none_is_unknown(version: Any) -> None:
    assert version_of(Request("1", "client-ready", {"version": version})) == UNKNOWN


def check(model: type[BaseModel], message: Message) -> None:
    """Pipecat takes it for its own, and finds in it all that we put there."""
    assert model.model_validate(message).model_dump(exclude_none=True) == message


def test_our_messages_are_those_of_pipecats_own_models() -> None:
    assert models.PROTOCOL_VERSION.split(".")[0] == PROTOCOL.split(".")[0]
    assert models.MESSAGE_LABEL == LABEL
    check(models.BotReady, bot_ready("1", "2.1.0"))
    check(models.ErrorResponse, error_response("1", "Unsupported type x"))
    check(models.Error, event("error", error="lost", fatal=True))
    check(models.UserTranscriptionMessage, user_transcription("Hi", "caller-a", NOON, final=False))
    check(models.UserInputMessage, user_input("Hi", "transcription", "caller-a", NOON))
    check(models.UserInputMessage, user_input("Hi", "chat", "caller-a", NOON, msg_id="1"))
    check(models.UserLLMTextMessage, event("user-llm-text", text="Hi"))
    new, transcription, spoken = Sentences(0).begins("Hello.")
    check(models.BotOutputMessage, new)
    check(models.BotTranscriptionMessage, transcription)
    check(models.BotTTSTextMessage, spoken)


def test_each_activity_is_a_message_of_pipecats() -> None:
    known = {
        each.model_fields["type"].default
        for each in vars(models).values()
        if isinstance(each, type) and issubclass(each, BaseModel) and "type" in each.model_fields
    }
    assert {activity.value for activity in Activity} <= known


def outputs(messages: list[Message]) -> list[tuple[int, str, str, str]]:
    """Of each `bot-output`: number, status, what was heard, what was not."""
    data = [message["data"] for message in messages if message["type"] == "bot-output"]
    return [(each["segment_id"], each["spoken_status"], *each["spoken_progress"].values()) for each in data]


def test_a_sentence_is_heard_once_the_next_begins_or_the_turn_ends() -> None:
    sentences = Sentences(10)
    assert outputs(sentences.begins("One.")) == [(11, "new", "", "One.")]
    assert outputs(sentences.begins("Two.")) == [(11, "completed", "One.", ""), (12, "new", "", "Two.")]
    assert outputs(sentences.ends("One. Two.", interrupted=False)) == [(12, "completed", "Two.", "")]
    assert sentences.ends("", interrupted=False) == []
    assert outputs(sentences.begins("Three.")) == [(13, "new", "", "Three.")]


@pytest.mark.parametrize(
    ("heard", "status", "words", "rest"),
    [
        ("One. Two three", "in-progress", "Two three", "four."),
        ("One.", "in-progress", "", "Two three four."),
        ("", "in-progress", "", "Two three four."),
        ("One. Two three four.", "completed", "Two three four.", ""),
        ("Uno. Two three", "in-progress", "", "Two three four."),
        ("One. 2 three", "in-progress", "", "Two three four."),
    ],
)
def test_a_sentence_that_was_cut_off_says_how_far_it_was_heard(heard: str, status: str, words: str, rest: str) -> None:
    sentences = Sentences(0)
    sentences.begins("One.")
    sentences.begins("Two three four.")
    assert outputs(sentences.ends(heard, interrupted=True)) == [(2, status, words, rest)]
