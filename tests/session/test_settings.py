from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from session.settings import Connections

SECRET = "livekit-secret-0123456789abcdef0123456789"
PASSWORD = "store-password"
GOOD = {
    "LIVEKIT_API_KEY": "devkey",
    "LIVEKIT_API_SECRET": SECRET,
    "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:6379/0",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing of ours is set, and there is no .env."""
    monkeypatch.chdir(tmp_path)
    for field in Connections.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    return monkeypatch


def _read(environment: pytest.MonkeyPatch, values: dict[str, str]) -> Connections:
    for name, value in values.items():
        environment.setenv(name, value)
    return Connections()


def test_the_environment_is_read_with_its_defaults(environment: pytest.MonkeyPatch) -> None:
    settings = _read(environment, {**GOOD, "MAX_BOTS": "7"})
    assert settings.livekit_api_secret.get_secret_value() == SECRET
    assert settings.redis_url.get_secret_value() == GOOD["REDIS_URL"]
    assert (settings.max_bots, settings.keep_seconds, settings.namespace) == (7, 86400.0, "main")


def test_a_dotenv_file_is_read_and_the_environment_wins(environment: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"LIVEKIT_API_KEY=other\nLIVEKIT_API_SECRET={SECRET}\nMAX_BOTS=3\nUNKNOWN=1\n")
    settings = _read(environment, {"LIVEKIT_API_KEY": "devkey"})
    assert (settings.livekit_api_key, settings.max_bots) == ("devkey", 3)


@pytest.mark.parametrize(
    "show", [repr, str, lambda settings: settings.model_dump_json(), lambda settings: f"{settings}"]
)
def test_a_secret_is_never_printed(environment: pytest.MonkeyPatch, show: Any) -> None:
    shown = show(_read(environment, GOOD))
    assert SECRET not in shown
    assert PASSWORD not in shown


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"LIVEKIT_API_KEY": None}, "LIVEKIT_API_KEY"),
        ({"MAX_BOTS": "0"}, "MAX_BOTS"),
        ({"MAX_BOTS": "many"}, "MAX_BOTS"),
        ({"GREENROOM_KEEP_SECONDS": "0"}, "GREENROOM_KEEP_SECONDS"),
        ({"GREENROOM_NAMESPACE": "a:b"}, "GREENROOM_NAMESPACE"),
        ({"GREENROOM_NAMESPACE": ""}, "GREENROOM_NAMESPACE"),
    ],
)
def test_an_error_names_the_setting_and_never_a_secret(
    environment: pytest.MonkeyPatch, wrong: dict[str, str | None], named: str
) -> None:
    values = {name: value for name, value in {**GOOD, **wrong}.items() if value is not None}
    with pytest.raises(ValidationError) as caught:
        _read(environment, values)
    said = f"{caught.value} {caught.value!r}"
    assert named in said
    assert SECRET not in said
    assert PASSWORD not in said


def test_settings_cannot_be_changed(environment: pytest.MonkeyPatch) -> None:
    settings = _read(environment, GOOD)
    with pytest.raises(ValidationError):
        settings.max_bots = 9  # type: ignore[misc]
