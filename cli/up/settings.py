"""What `greenroom up` reads from the environment, once; the parts read their own settings themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from runtime.secret_files import SecretFileError, from_files

STATE_DIR = Path(".greenroom")


class SettingError(Exception):
    """A setting is missing or can't be used; the message names it and says what to write instead."""


def environment() -> dict[str, str]:
    """What is set in the environment or in `.env`; the environment wins, as it does for the parts, which read both.

    Raises SettingError for a secret's file that can't be read.
    """
    told = {name: value for name, value in dotenv_values(".env").items() if value} | dict(os.environ)
    try:
        return told | from_files(
            ("LIVEKIT_API_SECRET", "REDIS_URL", "GREENROOM_API_KEY", "GREENROOM_OPERATOR_KEY"), told
        )
    except SecretFileError as error:
        raise SettingError(str(error)) from None


def _setting(default: Any, *names: str, secret: bool = False) -> Any:
    """A field read from the first of `names` that is set; a secret one is left out of `repr`."""
    return field(default=default, repr=not secret, metadata={"names": names})


# Not a pydantic model, as the other settings are: importing pydantic costs the long-lived `greenroom up` 15 MB.
@dataclass(frozen=True)
class UpSettings:
    """How one machine runs everything. Frozen; never prints a secret."""

    port: int = _setting(8080, "GREENROOM_PORT", "PORT")
    """TCP port of the dispatcher's API."""
    host: str = _setting("127.0.0.1", "GREENROOM_HOST")
    """Address on which the dispatcher listens."""
    valkey_port: int = _setting(16379, "GREENROOM_VALKEY_PORT")
    """TCP port of the Valkey that is started here."""
    livekit_port: int = _setting(7880, "GREENROOM_LIVEKIT_PORT")
    """TCP port of livekit-server: HTTP and WebSocket."""
    livekit_tcp_port: int = _setting(7881, "GREENROOM_LIVEKIT_TCP_PORT")
    """TCP port of livekit-server for media that can't use UDP."""
    livekit_udp_port: int = _setting(7882, "GREENROOM_LIVEKIT_UDP_PORT")
    """UDP port of livekit-server for media."""
    livekit_metrics_port: int = _setting(6789, "GREENROOM_LIVEKIT_METRICS_PORT")
    """TCP port of livekit-server's Prometheus metrics."""
    worker_port: int = _setting(8081, "GREENROOM_WORKER_PORT")
    """TCP port of the worker's own health page."""
    rate_limit: str | None = _setting(None, "GREENROOM_RATE_LIMIT")
    """Starts that the dispatcher allows from one address; without it see `limits_starts`."""
    token_limit: str | None = _setting(None, "GREENROOM_TOKEN_LIMIT")
    """Tokens that the dispatcher gives to one address; without it see `limits_tokens`."""
    trusted_proxies: str | None = _setting(None, "GREENROOM_TRUSTED_PROXIES")
    """Proxies in front of the dispatcher, by which it tells callers apart."""
    redis_url: str | None = _setting(None, "REDIS_URL", secret=True)
    """Address of a Valkey or Redis that runs elsewhere; then none is started."""
    livekit_url: str | None = _setting(None, "LIVEKIT_URL")
    """Address of a livekit-server that runs elsewhere; then none is started, and its key and secret are needed."""
    livekit_api_key: str | None = _setting(None, "LIVEKIT_API_KEY")
    """API key; generated and kept in the state directory when neither it nor the secret is given."""
    livekit_api_secret: str | None = _setting(None, "LIVEKIT_API_SECRET", secret=True)
    """API secret, 32 characters or more."""
    api_key: str | None = _setting(None, "GREENROOM_API_KEY", secret=True)
    """API key with which `greenroom call` places its calls, where the dispatcher wants one."""
    remote_url: str | None = _setting(None, "GREENROOM_URL")
    """Address of the dispatcher that operators' commands ask; without it that which runs here."""
    operator_key: str | None = _setting(None, "GREENROOM_OPERATOR_KEY", secret=True)
    """Operator's API key with which operators' commands ask, where the dispatcher wants one."""
    state_dir: Path = field(default=STATE_DIR, metadata={"names": ("GREENROOM_STATE_DIR",)})
    """Directory of Valkey's data, the generated keys and the lock of the running `up`."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> UpSettings:
        """The settings in `environment`; an empty value counts as absent.

        Raises SettingError for a port that is none, and for LiveKit's address, key and secret when some are missing.
        """
        given: dict[str, Any] = {}
        for each in fields(cls):
            name = next((name for name in each.metadata["names"] if environment.get(name)), None)
            if name is not None:
                given[each.name] = _parsed(each.type, name, environment[name])
        settings = cls(**given)
        settings._check_livekit()
        return settings

    @property
    def url(self) -> str:
        """Address of the dispatcher's API, as this machine reaches it."""
        return f"http://{self.address}"

    @property
    def address(self) -> str:
        """Host and port at which the dispatcher can be reached from this machine, as URLs have them."""
        return f"[{self.reached}]:{self.port}" if ":" in self.reached else f"{self.reached}:{self.port}"

    @property
    def reached(self) -> str:
        """The host of `address`: one that listens on all addresses is reached on loopback."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host

    @property
    def limits_starts(self) -> bool:
        """Whether starts are limited by address: not where nobody but this machine can call, who has one address."""
        return self.rate_limit is not None or not self._alone

    @property
    def limits_tokens(self) -> bool:
        """Whether tokens are limited by address; as `limits_starts`."""
        return self.token_limit is not None or not self._alone

    @property
    def _alone(self) -> bool:
        return self.host in ("127.0.0.1", "::1", "localhost") and self.trusted_proxies is None

    def _check_livekit(self) -> None:
        """Raise SettingError unless LiveKit's three settings make sense together."""
        pair = (self.livekit_api_key, self.livekit_api_secret)
        if self.livekit_url is not None and None in pair:
            raise SettingError(
                "LIVEKIT_URL names a LiveKit that runs elsewhere: set LIVEKIT_API_KEY and LIVEKIT_API_SECRET, too, "
                "or unset LIVEKIT_URL to have one started here"
            )
        if (pair[0] is None) != (pair[1] is None):
            raise SettingError("set both LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or neither to have them generated")
        # 32: livekit-server complains about a shorter one (pkg/service, keys are HMAC-SHA256 secrets).
        if pair[1] is not None and len(pair[1]) < 32:
            raise SettingError("LIVEKIT_API_SECRET must be 32 characters or more")


def _parsed(kind: object, name: str, value: str) -> Any:
    """`value` of the environment variable `name` as a field of type `kind` (its annotation, a string)."""
    if kind == "int":
        if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 65535:
            raise SettingError(f"{name} must be a port, 1 to 65535, not {value!r}")
        return int(value)
    return Path(value) if kind == "Path" else value
