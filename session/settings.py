"""How to reach LiveKit and the store, and how long calls wait; dispatcher and worker extend it."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.settings_source import SecretSettings


class StoreSettings(SecretSettings):
    """Where the store is. Frozen; never prints a secret."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", extra="ignore", hide_input_in_errors=True, populate_by_name=True
    )

    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:16379/0"), validation_alias="REDIS_URL")
    """Address of Valkey or Redis (redis:// or rediss://); may carry a password."""
    namespace: str = Field("main", validation_alias="GREENROOM_NAMESPACE", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    """Second part of every key in the store, so that several deployments can share one."""


class Connections(StoreSettings):
    """What dispatcher and worker have in common. Frozen; never prints a secret."""

    livekit_url: str = Field("ws://127.0.0.1:7880", validation_alias="LIVEKIT_URL")
    """Address of livekit-server (ws:// or wss://), as callers and agents reach it."""
    livekit_api_key: str = Field(validation_alias="LIVEKIT_API_KEY")
    """LiveKit API key."""
    livekit_api_secret: SecretStr = Field(validation_alias="LIVEKIT_API_SECRET")
    """LiveKit API secret, 32 characters or more."""
    agent_name: str = Field("greenroom", validation_alias="GREENROOM_AGENT_NAME")
    """The name under which the workers register with LiveKit and dispatches ask for them."""
    max_bots: int = Field(50, validation_alias="MAX_BOTS", ge=1)
    """Seats: sessions that may be starting, ready or recovering at once, over the whole deployment."""
    keep_seconds: float = Field(86400.0, validation_alias="GREENROOM_KEEP_SECONDS", gt=0)
    """Seconds for which the record of an ended session is kept."""
    log_level: str = Field("info", validation_alias="GREENROOM_LOG_LEVEL")
    """Lowest level that is logged: debug, info, warning or error."""


class CallLimits(BaseSettings):
    """How long a call waits for its caller and may last: the worker judges in the room, the dispatcher after it."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", extra="ignore", hide_input_in_errors=True, populate_by_name=True
    )

    caller_grace: float = Field(30.0, validation_alias="GREENROOM_CALLER_GRACE", ge=0)
    """Seconds for which the agent waits for a caller whose connection dropped."""
    hangup_grace: float = Field(10.0, validation_alias="GREENROOM_HANGUP_GRACE", ge=0)
    """Seconds for which it waits for one who left by itself: a hang-up and a page reload look the same."""
    join_seconds: float = Field(300.0, validation_alias="GREENROOM_JOIN_SECONDS", gt=0)
    """Seconds after the start within which the caller must have joined."""
    idle_seconds: float = Field(1800.0, validation_alias="GREENROOM_IDLE_SECONDS", gt=0)
    """Seconds without a caller and without a request after which a session ends."""
    max_session_seconds: float | None = Field(None, validation_alias="GREENROOM_MAX_SESSION_SECONDS", gt=0)
    """Seconds after which a call that is ready ends whatever happens; None, written "off": never."""
    silence_ask: float | None = Field(None, validation_alias="GREENROOM_SILENCE_ASK", gt=0)
    """Seconds of a caller's silence after which the agent asks, once, if it is still there: 60, say; off: never."""
    silence_seconds: float | None = Field(1800.0, validation_alias="GREENROOM_SILENCE_SECONDS", gt=0)
    """Seconds in which nobody says, types or does anything, until a call whose caller is there ends; off: never."""

    @field_validator("max_session_seconds", "silence_ask", "silence_seconds", mode="before")
    @classmethod
    def _off(cls, given: object) -> object:
        return None if given in ("", "off") else given
