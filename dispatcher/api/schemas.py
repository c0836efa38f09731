"""The shapes of the API's requests and answers; routes use them, and docs/api.md is generated from their docstrings."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasGenerator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel, to_snake

from session.record import State

MAX_NESTING = 32  # lists and objects inside of each other; serialisers give up at some hundreds


def too_deep(given: object) -> bool:
    """Whether lists and objects are nested deeper than MAX_NESTING."""
    level = [given]
    for _ in range(MAX_NESTING):
        nested = [each for each in level if isinstance(each, dict | list)]
        level = [inner for each in nested for inner in (each.values() if isinstance(each, dict) else each)]
    return any(isinstance(each, dict | list) for each in level)


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    """Only what JSON can say: no NaN, no infinity, no half of a surrogate pair; and not nested too deeply."""
    if too_deep(given):
        raise ValueError(f"must not be nested deeper than {MAX_NESTING}")
    try:
        json.dumps(given, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("must hold only plain JSON values") from None
    return given


VOICE_PATTERN = r"^[a-zA-Z0-9_.:-]{1,64}$"  # it becomes part of providers' addresses
Text = Annotated[str, Field(max_length=256)]
LongText = Annotated[str, Field(max_length=16_384)]
Facts = Annotated[dict[str, Any], AfterValidator(_plain)]


class Camel(BaseModel):
    """Base of what is camelCase outside."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, use_attribute_docstrings=True
    )


class ProviderChoice(BaseModel):
    """A provider with options."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Text
    """Name of the provider, such as groq."""
    options: Facts = {}
    """Options of this provider; an unknown one is refused by the provider's own check."""


def _provider(given: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """A provider, or one sentence for all that it might have been."""
    try:
        return read(given)
    except ValidationError as error:
        ours = [f"{each['loc'][-1]} {each['ctx']['error']}" for each in error.errors() if each["type"] == "value_error"]
        raise ValueError(ours[0] if ours else PROVIDER_WORDS) from None


PROVIDER_WORDS = 'must be a provider\'s name or {"name", "options"}, or a list of these'
MOST_PROVIDERS = 8  # in a list
Provider = Annotated[
    Text | ProviderChoice | Annotated[list[Text | ProviderChoice], Field(min_length=1, max_length=MOST_PROVIDERS)],
    WrapValidator(_provider),
]


def _voice(given: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """A voice, or voices by provider's name, or one sentence for what else it is."""
    try:
        return read(given)
    except ValidationError:
        raise ValueError(VOICE_WORDS) from None


VOICE_WORDS = "must be a name of 1 to 64 letters, digits, or any of . : _ -, or an object of such names by provider"
_VoiceName = Annotated[str, Field(pattern=VOICE_PATTERN)]
Voice = Annotated[
    _VoiceName | Annotated[dict[Text, _VoiceName], Field(min_length=1, max_length=MOST_PROVIDERS)],
    WrapValidator(_voice),
]


class SessionConfig(Camel):
    """What a session chooses for itself, where its agent lets it."""

    prompt: LongText | None = None
    """What the LLM is told to be, instead of the agent's own prompt."""
    greeting: LongText | None = None
    """The agent's first words."""
    voice: Voice | None = None
    """A voice of the first text-to-speech provider, or voices by provider's name."""
    language: Text | None = None
    """Language of the call, such as en or de-AT."""
    stt: Provider | None = None
    """Speech-to-text provider: a name, a name with options, or a list of these in order: `groq, local`."""
    llm: Provider | None = None
    """LLM provider: a name, a name with options, or a list of these in order: `groq, local`."""
    tts: Provider | None = None
    """Text-to-speech provider: a name, a name with options, or a list of these in order: `groq, local`."""


class StartBody(Camel):
    """POST /api/session/start."""

    user_id: Text | None = None
    """The user's id in your system; a user's live session is given back. Without it the session is anonymous."""
    user_name: Text | None = None
    """Name that others in the room see."""
    metadata: Facts | None = None
    """Facts of yours about this session, a JSON object; kept with the record."""
    agent: Text | None = None
    """Which agent answers; `default` where none is named."""
    config: SessionConfig | None = None
    """What this session chooses for itself, as far as its agent allows it."""
    rtvi: bool = False
    """Whether the page is one of Pipecat's client that may join before its agent; see [rtvi.md](rtvi.md)."""


class SessionBody(Camel):
    """POST /api/session/stop."""

    session_id: Text
    """The `sessionId` of the start's answer."""


class TokenBody(Camel):
    """POST /api/token."""

    session_id: Text
    """The `sessionId` of the start's answer."""
    user_name: Text | None = None
    """Name that others in the room see; by default the session's `userName`."""
    user_id: Text | None = None
    """The user that asks; another user than the session's is refused."""


class AskedAgent(BaseModel):
    """An agent in a room configuration, in either spelling of protobuf's JSON."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(to_snake(name), to_camel(name))),
        use_attribute_docstrings=True,
    )

    agent_name: Text = ""
    """Which agent answers; empty, or the workers' LiveKit name: `default`."""
    metadata: LongText = ""
    """Facts about this session: a JSON object, or any text; some 2900 bytes of JSON at most. The page can read it."""


class RoomConfig(BaseModel):
    """What a stock front end may say about its room; only the agent is heard."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    agents: list[AskedAgent] = []
    """The first one is taken; the others are ignored."""


class TokenSourceBody(BaseModel):
    """POST /api/livekit/token: LiveKit's own standard, in either spelling of protobuf's JSON."""

    model_config = AskedAgent.model_config

    room_name: str | None = None
    """Ignored: each call gets a room of its own."""
    participant_name: Text | None = None
    """Name that others in the room see."""
    participant_identity: str | None = None
    """Ignored: the identity follows from the session."""
    participant_metadata: LongText | None = None
    """Metadata of the caller's participant, passed on as it is. With name and attributes at most 2048 bytes of JSON."""
    participant_attributes: dict[str, str] | None = None
    """Attributes of the caller's participant, passed on as they are."""
    room_config: RoomConfig | None = None
    """Which agent answers. All other fields of LiveKit's room configuration are ignored."""


class Success(Camel):
    """What every answer has."""

    success: bool = True
    """`true` in an answer, `false` in an error."""


class StartAnswer(Success):
    """What a start says."""

    session_id: str
    """The session's id, which nobody can guess."""
    session_secret: str
    """Proves that the session is yours, as the header X-Session-Secret; a page keeps it as long as its call."""
    status: State
    """State of the session; see *States*."""
    prewarmed: bool
    """Whether a warm process was idle when the start was admitted."""
    reused: bool
    """Whether this is a session of the user's that was live already."""
    message: str
    """A sentence for people."""
    estimated_wait: float
    """Seconds until the agent is probably there; 0 when it is."""
    queue_position: int | None
    """Place in the queue, from 1; null unless the session is `queued`."""
    task_id: str
    """Id of the operation that started the session."""
    room_name: str
    """Name of the LiveKit room."""
    url: str
    """Address of LiveKit, for the caller's SDK."""
    token: str
    """LiveKit token for the caller; can be used at once, whatever the status."""


class StopAnswer(Success):
    """What a stop says."""

    message: str = "Session stopped"
    """A sentence for people."""


class TokenAnswer(Success):
    """POST /api/token."""

    token: str
    """LiveKit token for the caller, valid for 2 hours to join."""
    url: str
    """Address of LiveKit, for the caller's SDK."""
    room_name: str
    """Name of the LiveKit room."""


class TokenSourceAnswer(BaseModel):
    """POST /api/livekit/token, exactly as LiveKit's clients read it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    server_url: str
    """Address of LiveKit."""
    participant_token: str
    """LiveKit token for a room of its own, valid for 10 minutes to join."""
