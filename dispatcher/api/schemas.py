"""The shapes of requests and answers, camelCase outside and snake_case inside; knows no route."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel, to_snake

from session.record import EndReason, ErrorReason, Session, State


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    """Only what JSON can say: no NaN, no infinity, no half of a surrogate pair."""
    try:
        json.dumps(given, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("must hold only plain JSON values") from None
    return given


Text = Annotated[str, Field(max_length=256)]
LongText = Annotated[str, Field(max_length=16_384)]
Facts = Annotated[dict[str, Any], AfterValidator(_plain)]


class Camel(BaseModel):
    """Base of what is camelCase outside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class ProviderChoice(BaseModel):
    """A provider with options."""

    name: Text
    options: Facts = {}


class SessionConfig(Camel):
    """What a session chooses for itself, where its agent lets it."""

    prompt: LongText | None = None
    greeting: LongText | None = None
    voice: Text | None = None
    language: Text | None = None
    stt: Text | ProviderChoice | None = None
    llm: Text | ProviderChoice | None = None
    tts: Text | ProviderChoice | None = None


class StartBody(Camel):
    """POST /api/session/start."""

    user_id: Text | None = None
    user_name: Text | None = None
    metadata: Facts | None = None
    agent: Text | None = None
    config: SessionConfig | None = None


class SessionBody(Camel):
    """POST /api/session/stop."""

    session_id: Text


class TokenBody(Camel):
    """POST /api/token."""

    session_id: Text
    user_name: Text | None = None
    user_id: Text | None = None


class AskedAgent(BaseModel):
    """An agent in a room configuration, in either spelling of protobuf's JSON."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(to_snake(name), to_camel(name)))
    )

    agent_name: Text = ""
    metadata: LongText = ""


class RoomConfig(BaseModel):
    """What a stock front end may say about its room; only the agent is heard."""

    agents: list[AskedAgent] = []


class TokenSourceBody(BaseModel):
    """POST /api/livekit/token: LiveKit's own standard, in either spelling of protobuf's JSON."""

    model_config = AskedAgent.model_config

    room_name: str | None = None
    participant_name: Text | None = None
    participant_identity: str | None = None
    participant_metadata: LongText | None = None
    participant_attributes: dict[str, str] | None = None
    room_config: RoomConfig | None = None


class Success(Camel):
    """What every answer has."""

    success: bool = True


class StartAnswer(Success):
    """What a start says."""

    session_id: str
    status: State
    prewarmed: bool
    reused: bool
    message: str
    estimated_wait: float
    queue_position: int | None
    task_id: str
    room_name: str
    url: str
    token: str


class StopAnswer(Success):
    """What a stop says."""

    message: str = "Session stopped"


class SessionFacts(Camel):
    """A session as anyone may see it: no room, no token, no metadata."""

    session_id: str
    status: State
    user_id: str | None
    agent: str
    created_at: float
    startup_time: float | None
    attempt: int
    worker: str | None
    last_active: float
    error: ErrorReason | None
    end_reason: EndReason | None
    ended_at: float | None

    @classmethod
    def of(cls, session: Session) -> SessionFacts:
        """Those of this record."""
        return cls.model_validate(facts(session))


class SessionAnswer(SessionFacts, Success):
    """GET /api/session/{id}."""


class SessionsAnswer(Success):
    """GET /api/sessions."""

    count: int
    sessions: Sequence[SessionFacts]
    cursor: str | None


class TranscriptItem(Camel):
    """One thing that was said."""

    speaker: str
    text: str
    at: float
    interrupted: bool


class TranscriptAnswer(Success):
    """GET /api/session/{id}/transcript."""

    session_id: str
    items: Sequence[TranscriptItem]


class LogsAnswer(Success):
    """GET /api/session/{id}/logs."""

    session_id: str
    logs: Sequence[dict[str, Any]]


class TimingStep(Camel):
    """One step of a start, in milliseconds since the request was received."""

    name: str
    ms: float


class TimingsAnswer(Success):
    """GET /api/session/{id}/timings."""

    session_id: str
    attempt: int
    steps: Sequence[TimingStep]


class TokenAnswer(Success):
    """POST /api/token."""

    token: str
    url: str
    room_name: str


class TokenSourceAnswer(BaseModel):
    """POST /api/livekit/token, exactly as LiveKit's clients read it."""

    server_url: str
    participant_token: str


def facts(session: Session) -> dict[str, Any]:
    """The public fields of a record, by the names of SessionFacts."""
    return {
        "session_id": session.id,
        "status": session.state,
        "user_id": session.user_id,
        "agent": session.agent,
        "created_at": session.created_at,
        "startup_time": session.startup_seconds,
        "attempt": session.attempt,
        "worker": session.worker,
        "last_active": session.last_active,
        "error": session.error,
        "end_reason": session.end_reason,
        "ended_at": session.ended_at,
    }
