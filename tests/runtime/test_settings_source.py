from pathlib import Path

import pytest

from dispatcher.settings import DispatcherSettings
from pipeline.settings import PipelineSettings
from runtime.settings_source import secret_names
from worker.settings import WorkerSettings


def test_every_secret_can_be_given_by_a_file() -> None:
    assert {"LIVEKIT_API_SECRET", "REDIS_URL", "GREENROOM_API_KEYS"} <= set(secret_names(DispatcherSettings))
    assert {"LIVEKIT_API_SECRET", "REDIS_URL"} <= set(secret_names(WorkerSettings))
    assert {"GROQ_API_KEY", "ASSEMBLYAI_API_KEY", "ASSEMBLY_API_KEY", "INWORLD_API_KEY"} <= set(
        secret_names(PipelineSettings)
    )


def test_a_file_named_in_dotenv_counts_and_an_empty_variable_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text("gsk-1\n")
    (tmp_path / ".env").write_text(f"GROQ_API_KEY_FILE={tmp_path / 'key'}\n")
    monkeypatch.setenv("GROQ_API_KEY", "")
    read = PipelineSettings().groq_api_key
    assert read is not None
    assert read.get_secret_value() == "gsk-1"
    monkeypatch.setenv("GROQ_API_KEY", "gsk-2")
    read = PipelineSettings().groq_api_key
    assert read is not None
    assert read.get_secret_value() == "gsk-2"
