"""What `greenroom up` makes of the environment."""

import pytest

from cli.up.settings import SettingError, UpSettings

SECRET = "s" * 32


def test_an_empty_environment_gives_the_defaults():
    settings = UpSettings.read({})
    assert (settings.port, settings.valkey_port, settings.livekit_port) == (8080, 16379, 7880)
    assert settings.redis_url is None
    assert settings.livekit_url is None


def test_how_starts_are_limited_is_read():
    given = UpSettings.read({"GREENROOM_RATE_LIMIT": "off", "GREENROOM_TRUSTED_PROXIES": "10.0.0.1"})
    assert (given.rate_limit, given.trusted_proxies) == ("off", "10.0.0.1")
    assert given.limits_starts
    assert not UpSettings.read({}).limits_starts


def test_greenroom_port_wins_over_port():
    assert UpSettings.read({"PORT": "9000"}).port == 9000
    assert UpSettings.read({"PORT": "9000", "GREENROOM_PORT": "9001"}).port == 9001


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1:8080"),
        ("0.0.0.0", "127.0.0.1:8080"),
        ("::", "127.0.0.1:8080"),
        ("::1", "[::1]:8080"),
        ("192.0.2.7", "192.0.2.7:8080"),
    ],
)
def test_the_api_is_reached_where_it_listens_or_on_loopback(host, address):
    assert UpSettings.read({"GREENROOM_HOST": host}).address == address


def test_an_empty_value_counts_as_absent():
    assert UpSettings.read({"REDIS_URL": "", "GREENROOM_PORT": ""}) == UpSettings()


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "8080.0", "٣"])
def test_what_is_no_port_is_refused_by_the_name_of_its_setting(value):
    with pytest.raises(SettingError, match="GREENROOM_LIVEKIT_PORT must be a port"):
        UpSettings.read({"GREENROOM_LIVEKIT_PORT": value})


@pytest.mark.parametrize(
    "environment",
    [
        {"LIVEKIT_URL": "wss://elsewhere"},
        {"LIVEKIT_URL": "wss://elsewhere", "LIVEKIT_API_KEY": "key"},
        {"LIVEKIT_API_SECRET": SECRET},
        {"LIVEKIT_API_KEY": "key"},
        {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "short"},
    ],
)
def test_keys_that_could_not_work_are_refused(environment):
    with pytest.raises(SettingError, match="LIVEKIT_API_SECRET") as refusal:
        UpSettings.read(environment)
    assert "short" not in str(refusal.value)


def test_a_livekit_elsewhere_with_its_keys_is_taken():
    given = {"LIVEKIT_URL": "wss://elsewhere", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": SECRET}
    assert UpSettings.read(given).livekit_url == "wss://elsewhere"


def test_no_secret_is_in_its_repr():
    given = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": SECRET, "REDIS_URL": "redis://:hush@elsewhere"}
    shown = repr(UpSettings.read(given))
    assert SECRET not in shown
    assert "hush" not in shown
