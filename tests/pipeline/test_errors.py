"""The errors of the pipeline say where, what and what to do, and never a value."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import (
    AgentFileError,
    BadOption,
    MissingKey,
    PipelineError,
    ProviderError,
    UnknownProvider,
    UnreadableCheckpoint,
)


def test_every_error_is_a_pipeline_error():
    for error in (AgentFileError, BadOption, MissingKey, UnknownProvider, UnreadableCheckpoint):
        assert issubclass(error, PipelineError)
    assert issubclass(MissingKey, ProviderError)


def test_a_file_error_names_file_line_and_remedy():
    error = AgentFileError(Path("agents/a.py"), 3, "has no name", "Give it one")
    assert str(error) == "agents/a.py:3: has no name. Give it one"


def test_a_missing_key_names_the_variable():
    assert "GROQ_API_KEY" in str(MissingKey("llm", "groq", "GROQ_API_KEY"))


def test_an_unknown_provider_lists_the_known():
    assert "groq, openai" in str(UnknownProvider("llm", "x", ["openai", "groq"]))
