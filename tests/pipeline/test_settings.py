"""The pipeline's settings: what the environment means, and what never shows."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.settings import PipelineSettings, variable


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with nothing of ours in it, in a folder without .env."""
    for field in PipelineSettings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)
    monkeypatch.delenv("ASSEMBLY_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_with_nothing_set_everything_is_local(clean: pytest.MonkeyPatch) -> None:
    settings = PipelineSettings()
    assert (settings.stt, settings.llm, settings.tts) == ("moonshine", "rules", "hibari")
    assert settings.turn == "smart"
    assert settings.turn_timeout == 1.2
    assert settings.agents == Path("agents")


def test_options_are_json(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("GREENROOM_LLM", "groq")
    clean.setenv("GREENROOM_LLM_OPTIONS", '{"temperature": 0.3}')
    assert PipelineSettings().llm_options == {"temperature": 0.3}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("heart", "heart"),
        ("123", "123"),
        ('{"inworld": "Ashley", "local": "heart"}', {"inworld": "Ashley", "local": "heart"}),
        ("", None),
    ],
)
def test_a_voice_and_a_model_are_names_or_json_by_provider(
    clean: pytest.MonkeyPatch, written: str, read: str | dict[str, str] | None
) -> None:
    clean.setenv("GREENROOM_VOICE", written)
    clean.setenv("GREENROOM_LLM_MODEL", written)
    settings = PipelineSettings()
    assert (settings.voice, settings.llm_model) == (read, read)


def test_a_voice_that_is_broken_json_is_refused_and_not_taken_for_a_name(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("GREENROOM_VOICE", '{"inworld": ')
    with pytest.raises(ValidationError, match="a JSON object of names by provider"):
        PipelineSettings()


@pytest.mark.parametrize("name", ["ASSEMBLYAI_API_KEY", "ASSEMBLY_API_KEY"])
def test_both_names_of_assemblyais_key_are_read(clean: pytest.MonkeyPatch, name: str) -> None:
    clean.setenv(name, "a-key")
    key = PipelineSettings().assemblyai_api_key
    assert key is not None
    assert key.get_secret_value() == "a-key"


def test_an_empty_variable_is_an_unset_one(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("GROQ_API_KEY", "")
    clean.setenv("GREENROOM_LLM_OPTIONS", "")
    settings = PipelineSettings()
    assert settings.groq_api_key is None
    assert settings.llm_options == {}


def test_the_env_file_is_read_and_names_of_others_in_it_are_ignored(clean: pytest.MonkeyPatch) -> None:
    lines = ["GREENROOM_TURN=silence", "REDIS_URL=redis://elsewhere", 'GREENROOM_LLM_OPTIONS={"temperature": 0.3}']
    Path(".env").write_text("\n".join(lines), encoding="utf-8")
    settings = PipelineSettings()
    assert settings.turn == "silence"
    assert settings.llm_options == {"temperature": 0.3}


def test_no_key_shows_in_the_printed_settings(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("OPENAI_API_KEY", "sk-visible")
    settings = PipelineSettings()
    assert "sk-visible" not in repr(settings)
    assert "sk-visible" not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GREENROOM_TURN", "sometimes-secret"),
        ("GREENROOM_TURN_TIMEOUT", "0"),
        ("GREENROOM_TOOL_TIMEOUT", "-1"),
        ("GREENROOM_OPENAI_BASE_URL", "localhost-secret"),
    ],
)
def test_a_bad_value_is_refused_by_the_variables_name_without_the_value(
    clean: pytest.MonkeyPatch, name: str, value: str
) -> None:
    clean.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        PipelineSettings()
    assert name in str(refused.value)
    assert "secret" not in str(refused.value)


def test_settings_cannot_be_changed(clean: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        PipelineSettings().stt = "groq"  # type: ignore[misc]
