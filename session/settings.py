"""How to reach LiveKit and the store, read from the environment once; knows nothing of what is done with them."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Connections(BaseSettings):
    """What dispatcher and worker have in common. Frozen; never prints a secret."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", extra="ignore", hide_input_in_errors=True, populate_by_name=True
    )

    livekit_url: str = Field("ws://127.0.0.1:7880", validation_alias="LIVEKIT_URL")
    """Address of livekit-server (ws:// or wss://), as callers and agents reach it."""
    livekit_api_key: str = Field(validation_alias="LIVEKIT_API_KEY")
    """LiveKit API key."""
    livekit_api_secret: SecretStr = Field(validation_alias="LIVEKIT_API_SECRET")
    """LiveKit API secret, 32 characters or more."""
    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:16379/0"), validation_alias="REDIS_URL")
    """Address of Valkey or Redis (redis:// or rediss://); may carry a password."""
    namespace: str = Field("main", validation_alias="GREENROOM_NAMESPACE", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    """Second part of every key in the store, so that several deployments can share one."""
    agent_name: str = Field("greenroom", validation_alias="GREENROOM_AGENT_NAME")
    """The name under which the workers register with LiveKit and dispatches ask for them."""
    max_bots: int = Field(50, validation_alias="MAX_BOTS", ge=1)
    """Seats: sessions that may be starting, ready or recovering at once, over the whole deployment."""
    keep_seconds: float = Field(86400.0, validation_alias="GREENROOM_KEEP_SECONDS", gt=0)
    """Seconds for which the record of an ended session is kept."""
    log_level: str = Field("info", validation_alias="GREENROOM_LOG_LEVEL")
    """Lowest level that is logged: debug, info, warning or error."""
