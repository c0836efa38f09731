import math
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from dispatcher.api import schemas
from dispatcher.api.schemas import (
    SessionBody,
    SessionConfig,
    StartAnswer,
    StartBody,
    StopAnswer,
    Success,
    TokenBody,
    TokenSourceAnswer,
    TokenSourceBody,
)
from dispatcher.api.session_answers import (
    SessionAnswer,
    SessionFacts,
    facts,
)
from session.record import EndReason, Session, State, ended
from tests.session.making import NOON, a_session, a_session_in

PRIVATE = "known to nobody"


def _deep() -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for _ in range(100_000):
        nested = {"a": nested}
    return nested


def _secretive() -> Session:
    return replace(
        a_session(),
        room="room-" + PRIVATE,
        metadata={"note": PRIVATE},
        config={"prompt": PRIVATE},
        user_name=PRIVATE,
        owner=PRIVATE,
        user_id="user_1",
        job=PRIVATE,
    )


def test_a_start_is_read_in_camel_case() -> None:
    given = {"userId": "u", "userName": "Una", "metadata": {"a": [1, None]}, "agent": "shop", "config": {"tts": "x"}}
    body = StartBody.model_validate(given)
    assert (body.user_id, body.user_name, body.agent, body.metadata) == ("u", "Una", "shop", {"a": [1, None]})
    assert body.config == SessionConfig(tts="x")


def test_nothing_need_be_said_to_start() -> None:
    assert set(StartBody.model_validate({}).model_dump().values()) == {None, False}


def test_a_field_of_a_newer_caller_is_passed_over() -> None:
    assert StartBody.model_validate({"userId": "u", "later": 1}) == StartBody(user_id="u")


@pytest.mark.parametrize(
    ("body", "given"),
    [
        pytest.param(StartBody, {"userId": 7}, id="a user who is a number"),
        pytest.param(StartBody, {"userId": "u" * 257}, id="a user with a name too long"),
        pytest.param(StartBody, {"metadata": []}, id="metadata that is a list"),
        pytest.param(StartBody, {"metadata": {"a": math.nan}}, id="metadata that is not a number"),
        pytest.param(StartBody, {"metadata": {"a": [math.inf]}}, id="metadata without end"),
        pytest.param(StartBody, {"metadata": {"a": "\ud800"}}, id="metadata with half a character"),
        pytest.param(StartBody, {"metadata": {"\udfff": 1}}, id="metadata named with half a character"),
        pytest.param(StartBody, {"metadata": _deep()}, id="metadata without a bottom"),
        pytest.param(StartBody, {"config": {"prompt": "p" * 16_385}}, id="a prompt too long"),
        pytest.param(StartBody, {"config": {"tts": {"options": {}}}}, id="a provider without a name"),
        pytest.param(StartBody, {"config": {"tts": []}}, id="no provider"),
        pytest.param(StartBody, {"config": {"tts": ["x"] * 9}}, id="too many providers"),
        pytest.param(StartBody, {"config": {"voice": {"x": "../y"}}}, id="a voice that is a path"),
        pytest.param(StartBody, {"config": {"tts": {"name": "x", "options": {"a": math.nan}}}}, id="options of nan"),
        pytest.param(StartBody, {"config": "loud"}, id="a config in words"),
        pytest.param(SessionBody, {}, id="a stop of nothing"),
        pytest.param(SessionBody, {"sessionId": None}, id="a stop of null"),
        pytest.param(TokenBody, {"userId": "u"}, id="a token for nothing"),
        pytest.param(TokenSourceBody, {"participant_attributes": {"a": 1}}, id="an attribute that is a number"),
        pytest.param(TokenSourceBody, {"room_config": {"agents": {}}}, id="agents that are no list"),
    ],
)
def test_a_body_is_refused(body: type[BaseModel], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        body.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"userId": "u" * 256}, id="the longest name"),
        pytest.param({"metadata": {"a": "grüß 🎧", "b": {"c": [1.5, True]}}}, id="any plain JSON"),
        pytest.param({"config": {"prompt": "p" * 16_384}}, id="the longest prompt"),
        pytest.param({"config": {"tts": {"name": "x", "options": {"speed": 2}}}}, id="a provider with options"),
        pytest.param({"config": {"tts": ["x", {"name": "y"}]}}, id="a list of providers"),
        pytest.param({"config": {"voice": {"x": "a", "y": "b"}}}, id="voices by provider"),
    ],
)
def test_a_body_is_taken_as_it_is(given: dict[str, Any]) -> None:
    body = StartBody.model_validate(given)
    assert body.model_dump(by_alias=True, exclude_unset=True) == given


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(
            {"room_name": "r", "participant_name": "Una", "room_config": {"agents": [{"agent_name": "shop"}]}},
            id="in snake_case",
        ),
        pytest.param(
            {"roomName": "r", "participantName": "Una", "roomConfig": {"agents": [{"agentName": "shop"}]}},
            id="in camelCase",
        ),
    ],
)
def test_livekits_clients_are_read_in_either_spelling(given: dict[str, Any]) -> None:
    body = TokenSourceBody.model_validate(given)
    assert (body.room_name, body.participant_name) == ("r", "Una")
    assert body.room_config is not None
    assert [each.agent_name for each in body.room_config.agents] == ["shop"]


def test_a_record_is_shown_without_what_is_private() -> None:
    shown = SessionFacts.of(_secretive()).model_dump_json(by_alias=True)
    assert PRIVATE not in shown
    assert '"userId":"user_1"' in shown


def test_a_record_is_shown_in_camel_case() -> None:
    session = ended(a_session_in(State.READY, ready_at=NOON + 0.5, last_active=NOON + 2), EndReason.IDLE, NOON + 9)
    assert SessionAnswer.model_validate({**facts(session), "phone": None}).model_dump(by_alias=True, mode="json") == {
        "phone": None,
        "success": True,
        "sessionId": "session_a",
        "status": "ended",
        "userId": None,
        "agent": "default",
        "createdAt": NOON,
        "prewarmed": False,
        "startupTime": 0.5,
        "recoveries": 0,
        "caller": "absent",
        "release": "",
        "attempt": 1,
        "worker": "worker_a",
        "lastActive": NOON + 2,
        "error": None,
        "endReason": "idle",
        "endedAt": NOON + 9,
    }


def test_a_start_answers_every_field_that_was_promised() -> None:
    assert {each.serialization_alias for each in StartAnswer.model_fields.values()} == {
        "success",
        "sessionId",
        "sessionSecret",
        "status",
        "prewarmed",
        "reused",
        "message",
        "estimatedWait",
        "queuePosition",
        "taskId",
        "roomName",
        "url",
        "token",
    }


def test_a_stop_says_that_it_succeeded() -> None:
    assert StopAnswer().model_dump(by_alias=True) == {"success": True, "message": "Session stopped"}


ANSWERS = [each for name, each in vars(schemas).items() if name.endswith("Answer") and each is not TokenSourceAnswer]


@pytest.mark.parametrize("answer", ANSWERS)
def test_every_answer_of_ours_says_that_it_succeeded(answer: type[BaseModel]) -> None:
    assert issubclass(answer, Success)


def test_livekits_clients_are_answered_as_they_read_it() -> None:
    answer = TokenSourceAnswer(server_url="ws://here", participant_token="t")
    assert answer.model_dump(by_alias=True) == {"server_url": "ws://here", "participant_token": "t"}
