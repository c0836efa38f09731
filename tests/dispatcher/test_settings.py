from pathlib import Path

import pytest
from pydantic import AliasChoices, ValidationError

from dispatcher.settings import DispatcherSettings

SECRET = "livekit-secret-0123456789abcdef0123456789"
GOOD = {"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": SECRET}


def _names() -> list[str]:
    names: list[str] = []
    for field in DispatcherSettings.model_fields.values():
        alias = field.validation_alias
        names += map(str, alias.choices) if isinstance(alias, AliasChoices) else [str(alias)]
    return names


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing but what is needed is set, and there is no .env."""
    monkeypatch.chdir(tmp_path)
    for name in _names():
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def _read(environment: pytest.MonkeyPatch, **values: str) -> DispatcherSettings:
    for name, value in values.items():
        environment.setenv(name, value)
    return DispatcherSettings()


def test_what_is_not_said_has_a_default(environment: pytest.MonkeyPatch) -> None:
    settings = _read(environment)
    assert (settings.host, settings.port, settings.cors_origins) == ("127.0.0.1", 8080, ())
    assert (settings.max_bots, settings.join_seconds) == (50, 300.0)
    assert (settings.claim_seconds, settings.queue_seconds) == (2.0, 30.0)


def test_how_long_a_start_may_wait_can_be_set(environment: pytest.MonkeyPatch) -> None:
    settings = _read(environment, GREENROOM_CLAIM_SECONDS="0.5", GREENROOM_QUEUE_SECONDS="0")
    assert (settings.claim_seconds, settings.queue_seconds) == (0.5, 0.0)


@pytest.mark.parametrize(
    ("values", "port"),
    [
        pytest.param({"PORT": "9000"}, 9000, id="PORT is heard, as platforms set it"),
        pytest.param({"PORT": "9000", "GREENROOM_PORT": "9001"}, 9001, id="our own name wins"),
        pytest.param({"GREENROOM_PORT": "0"}, 0, id="0 chooses a free one"),
    ],
)
def test_the_port_is_read(environment: pytest.MonkeyPatch, values: dict[str, str], port: int) -> None:
    assert _read(environment, **values).port == port


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        pytest.param("https://a.example", ("https://a.example",), id="one"),
        pytest.param(" https://a.example , https://b.example,", ("https://a.example", "https://b.example"), id="two"),
        pytest.param("", (), id="none"),
    ],
)
def test_origins_are_separated_by_commas(environment: pytest.MonkeyPatch, given: str, origins: tuple[str, ...]) -> None:
    assert _read(environment, GREENROOM_CORS_ORIGINS=given).cors_origins == origins


@pytest.mark.parametrize(
    ("values", "url"),
    [
        pytest.param({}, "ws://livekit:7880", id="the address that we use ourselves"),
        pytest.param({"GREENROOM_PUBLIC_LIVEKIT_URL": "wss://call.example"}, "wss://call.example", id="or their own"),
    ],
)
def test_callers_are_told(environment: pytest.MonkeyPatch, values: dict[str, str], url: str) -> None:
    settings = _read(environment, LIVEKIT_URL="ws://livekit:7880", **values)
    assert settings.callers_url == url
    assert settings.livekit_url == "ws://livekit:7880"


@pytest.mark.parametrize(
    ("host", "on_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("greenroom.example", False),
        ("", False),
    ],
)
def test_who_can_reach_the_api_follows_from_its_host(
    environment: pytest.MonkeyPatch, host: str, on_loopback: bool
) -> None:
    assert _read(environment, GREENROOM_HOST=host).on_loopback is on_loopback


def test_starts_are_limited_by_address_unless_it_is_said_otherwise(environment: pytest.MonkeyPatch) -> None:
    settings = _read(environment)
    assert (settings.rate_limit, settings.user_limit, settings.trusted_proxies) == ("10/minute", "off", ())
    settings = _read(environment, GREENROOM_RATE_LIMIT="off", GREENROOM_USER_LIMIT="5 per hour")
    assert (settings.rate_limit, settings.user_limit) == ("off", "5 per hour")


def test_tokens_are_limited_by_address_unless_it_is_said_otherwise(environment: pytest.MonkeyPatch) -> None:
    assert _read(environment).token_limit == "60/minute"
    assert _read(environment, GREENROOM_TOKEN_LIMIT="off").token_limit == "off"


@pytest.mark.parametrize(
    ("given", "networks"),
    [
        pytest.param("10.0.0.0/8, 192.0.2.1,2001:db8::/32", ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"], id="both"),
        pytest.param("", [], id="none"),
    ],
)
def test_proxies_are_addresses_and_networks(environment: pytest.MonkeyPatch, given: str, networks: list[str]) -> None:
    read = _read(environment, GREENROOM_TRUSTED_PROXIES=given).trusted_proxies
    assert [str(each) for each in read] == networks


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("GREENROOM_RATE_LIMIT", "ten a minute", id="a limit in words"),
        pytest.param("GREENROOM_USER_LIMIT", "0/minute", id="a limit that allows nothing"),
        pytest.param("GREENROOM_TOKEN_LIMIT", "many", id="a limit of tokens in words"),
        pytest.param("GREENROOM_TRUSTED_PROXIES", "10.0.0.1/8", id="a network that is none"),
        pytest.param("GREENROOM_TRUSTED_PROXIES", "proxy.example", id="a proxy by its name"),
        pytest.param("GREENROOM_PORT", "65536", id="a port that is none"),
        pytest.param("GREENROOM_PORT", "-1", id="a port below all"),
        pytest.param("GREENROOM_PORT", "http", id="a port in words"),
        pytest.param("GREENROOM_MAX_SESSION_SECONDS", "0", id="a limit of the calls"),
        pytest.param("GREENROOM_CLAIM_SECONDS", "0", id="no time at all for a worker"),
        pytest.param("GREENROOM_QUEUE_SECONDS", "-1", id="a queue that ends before it begins"),
        pytest.param("MAX_BOTS", "0", id="a setting shared with the workers"),
    ],
)
def test_an_error_names_the_setting_and_never_a_secret(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _read(environment, **{name: value})
    assert name in str(caught.value)
    assert SECRET not in f"{caught.value} {caught.value!r}"


def test_settings_cannot_be_changed(environment: pytest.MonkeyPatch) -> None:
    settings = _read(environment)
    with pytest.raises(ValidationError):
        settings.port = 9  # type: ignore[misc]
