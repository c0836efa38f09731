"""What one dispatcher is told, read from the environment once when it starts."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AliasChoices, Field, IPvAnyNetwork, SecretStr, field_validator
from pydantic_settings import NoDecode

from dispatcher.access.keys import read_first_keys
from dispatcher.starts.limits import read_rate
from session.settings import CallLimits, Connections


class DispatcherSettings(Connections, CallLimits):
    """Connections and limits shared with the workers, and the dispatcher's own."""

    host: str = Field("127.0.0.1", validation_alias="GREENROOM_HOST")
    """Address to listen on."""
    port: int = Field(8080, validation_alias=AliasChoices("GREENROOM_PORT", "PORT"), ge=0, le=65535)
    """Port to listen on; GREENROOM_PORT wins over PORT, 0 chooses a free one."""
    claim_seconds: float = Field(2.0, validation_alias="GREENROOM_CLAIM_SECONDS", gt=0)
    """Seconds within which a worker must have accepted a dispatch before it is made again; more under load."""
    queue_seconds: float = Field(30.0, validation_alias="GREENROOM_QUEUE_SECONDS", ge=0)
    """Seconds for which a start waits for a slot, or for a worker that restarts."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="GREENROOM_CORS_ORIGINS")
    """Origins whose pages may call, separated by commas; without any, local ones while listening on loopback."""
    public_livekit_url: str = Field("", validation_alias="GREENROOM_PUBLIC_LIVEKIT_URL")
    """Address of livekit-server as callers reach it; empty: LIVEKIT_URL."""

    rate_limit: str = Field("10/minute", validation_alias="GREENROOM_RATE_LIMIT")
    """Starts allowed from one address, like 10/minute, tenfold from an IPv6 /48; off: any, as `up` on loopback."""
    user_limit: str = Field("off", validation_alias="GREENROOM_USER_LIMIT")
    """Starts allowed to one user, written the same way; one that gives the live session back is not counted."""
    address_sessions: int | None = Field(5, validation_alias="GREENROOM_ADDRESS_SESSIONS", ge=1)
    """Live sessions allowed to one address without an API key; None, written "off": any number."""
    token_limit: str = Field("60/minute", validation_alias="GREENROOM_TOKEN_LIMIT")
    """Tokens of /api/livekit/token allowed to one address; a page takes two a call; off: any number."""
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (), validation_alias="GREENROOM_TRUSTED_PROXIES"
    )
    """Proxies whose X-Forwarded-For is believed: addresses and networks, separated by commas; by default none."""

    metrics_allow: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (), validation_alias="GREENROOM_METRICS_ALLOW"
    )
    """Networks whose programs may read /metrics, separated by commas; this machine and operators' keys always may."""
    client_ip_header: str = Field("", validation_alias="GREENROOM_CLIENT_IP_HEADER", pattern=r"^[A-Za-z0-9-]{0,64}$")
    """Header in which a trusted proxy writes the caller's address, like X-Real-IP; empty: X-Forwarded-For."""
    hosts: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="GREENROOM_HOSTS")
    """Host names by which callers reach the API, separated by commas; addresses and localhost are always known."""
    webhook_url: SecretStr = Field(SecretStr(""), validation_alias="WEBHOOK_URL")
    """Where alerts are posted as JSON, when they begin and when they are over; empty: nowhere."""
    open: bool = Field(False, validation_alias="GREENROOM_OPEN")
    """Whether anybody may start sessions without an API key: a public page. Operators still need theirs."""
    api_keys: SecretStr = Field(SecretStr(""), validation_alias="GREENROOM_API_KEYS")
    """First API keys: role:name:key each, separated by commas; more are made by `greenroom keys new`."""

    @field_validator("api_keys")
    @classmethod
    def _keys(cls, given: SecretStr) -> SecretStr:
        read_first_keys(given.get_secret_value())
        return given

    @field_validator("address_sessions", mode="before")
    @classmethod
    def _any_number(cls, given: object) -> object:
        return None if given == "off" else given

    @field_validator("hosts")
    @classmethod
    def _lower(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.lower() for name in given)

    @field_validator("rate_limit", "user_limit", "token_limit")
    @classmethod
    def _rate(cls, given: str) -> str:
        read_rate(given)
        return given

    @field_validator("cors_origins", "trusted_proxies", "hosts", "metrics_allow", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @property
    def callers_url(self) -> str:
        """The LiveKit address that callers are told."""
        return self.public_livekit_url or self.livekit_url

    @property
    def local_pages(self) -> bool:
        """Whether pages of this machine may call: where nobody else can, and no origin is named."""
        return self.on_loopback and not self.cors_origins

    @property
    def on_loopback(self) -> bool:
        """Whether nobody outside this machine can reach the API."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
