"""Which providers a deployment uses, and their options, read from the environment once when a worker starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, JsonValue, SecretStr
from pydantic_settings import NoDecode, SettingsConfigDict

from runtime.settings_source import SecretSettings


def _read_by_provider(given: object) -> object:
    """The object that a text beginning with a brace stands for; all else as it is."""
    if not isinstance(given, str) or not given.lstrip().startswith("{"):
        return given
    try:
        return json.loads(given)
    except ValueError:
        raise ValueError("must be a name, or a JSON object of names by provider") from None


ByProvider = Annotated[str | dict[str, str] | None, NoDecode, BeforeValidator(_read_by_provider)]
"""A value for the first provider of a list, or values by provider's name; None for none."""


class PipelineSettings(SecretSettings):
    """What the deployment gives to every agent that does not choose for itself. Frozen; never prints a secret."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_file=".env",
        extra="ignore",
        hide_input_in_errors=True,
        populate_by_name=True,
        env_ignore_empty=True,
        protected_namespaces=(),
    )

    agents: Path = Field(Path("agents"), validation_alias="GREENROOM_AGENTS")
    """Folder with one Python file for each agent."""

    stt: str = Field("moonshine", validation_alias="GREENROOM_STT")
    """Speech to text: moonshine (local), assemblyai, deepgram, cartesia, elevenlabs, groq, openai, or a list."""
    stt_options: dict[str, JsonValue] = Field(default_factory=dict, validation_alias="GREENROOM_STT_OPTIONS")
    """Options of the first provider that GREENROOM_STT names, as a JSON object; or such objects by provider's name."""
    llm: str = Field("rules", validation_alias="GREENROOM_LLM")
    """LLM: rules (local), groq, openai, openai-compatible, or a list."""
    llm_options: dict[str, JsonValue] = Field(default_factory=dict, validation_alias="GREENROOM_LLM_OPTIONS")
    """Options of the first provider that GREENROOM_LLM names, as a JSON object; or such objects by provider's name."""
    llm_model: ByProvider = Field(None, validation_alias="GREENROOM_LLM_MODEL")
    """Model of the first provider that GREENROOM_LLM names, or JSON by provider's name. Unset: the provider's own."""
    tts: str = Field("hibari", validation_alias="GREENROOM_TTS")
    """Text to speech: hibari (local), inworld, cartesia, deepgram, elevenlabs, groq, openai, or a list."""
    tts_options: dict[str, JsonValue] = Field(default_factory=dict, validation_alias="GREENROOM_TTS_OPTIONS")
    """Options of the first provider that GREENROOM_TTS names, as a JSON object; or such objects by provider's name."""
    voice: ByProvider = Field(None, validation_alias="GREENROOM_VOICE")
    """Voice of the first provider that GREENROOM_TTS names, or JSON by provider's name. Unset: the provider's own."""

    turn: Literal["smart", "silence"] = Field("smart", validation_alias="GREENROOM_TURN")
    """How the end of the caller's turn is told: smart (a model listens for it) or silence alone."""
    turn_timeout: float = Field(1.2, validation_alias="GREENROOM_TURN_TIMEOUT", gt=0, le=30)
    """Seconds of silence after which a turn the model thinks unfinished ends all the same (Pipecat's own is 5)."""
    turn_silence: float = Field(0.7, validation_alias="GREENROOM_TURN_SILENCE", gt=0, le=30)
    """Seconds of silence that end a turn when GREENROOM_TURN is silence."""
    vad_start: float = Field(0.2, validation_alias="GREENROOM_VAD_START", gt=0, le=5)
    """Seconds of voice before it counts as speech; a barge-in cannot be noticed faster."""
    vad_stop: float = Field(0.2, validation_alias="GREENROOM_VAD_STOP", gt=0, le=5)
    """Seconds of silence before speech counts as paused and the end of the turn is considered."""

    tool_timeout: float = Field(10.0, validation_alias="GREENROOM_TOOL_TIMEOUT", gt=0, le=600)
    """Seconds a tool may take; then the agent is told that it failed."""
    answer_seconds: float = Field(8.0, validation_alias="GREENROOM_ANSWER_SECONDS", gt=0, le=60)
    """Seconds of silence after which a caller who is owed an answer hears something; LLMs that fail are asked again."""
    provider_timeout: float = Field(8.0, validation_alias="GREENROOM_PROVIDER_TIMEOUT", gt=0, le=600)
    """Seconds without a byte from a provider over HTTP before its answer counts as failed."""

    openai_base_url: str | None = Field(
        None, validation_alias="GREENROOM_OPENAI_BASE_URL", pattern=r"^https?://[^\s/]+\S*$"
    )
    """Address of a server that speaks OpenAI's protocol, with its /v1, for the LLM openai-compatible. Unset: none."""
    openai_server_key: SecretStr | None = Field(None, validation_alias="GREENROOM_OPENAI_SERVER_KEY")
    """Key for that server, if it wants one; OPENAI_API_KEY is never sent to it. Unset: none."""

    judge_model: str | None = Field(None, validation_alias="GREENROOM_JUDGE_MODEL")
    """Model of that server which judges conversations in `greenroom test`. Unset: GREENROOM_LLM_MODEL, if it is set."""

    assemblyai_api_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("ASSEMBLYAI_API_KEY", "ASSEMBLY_API_KEY")
    )
    """Key for assemblyai. Unset: none."""
    cartesia_api_key: SecretStr | None = Field(None, validation_alias="CARTESIA_API_KEY")
    """Key for cartesia. Unset: none."""
    deepgram_api_key: SecretStr | None = Field(None, validation_alias="DEEPGRAM_API_KEY")
    """Key for deepgram. Unset: none."""
    elevenlabs_api_key: SecretStr | None = Field(None, validation_alias="ELEVENLABS_API_KEY")
    """Key for elevenlabs. Unset: none."""
    groq_api_key: SecretStr | None = Field(None, validation_alias="GROQ_API_KEY")
    """Key for groq. Unset: none."""
    inworld_api_key: SecretStr | None = Field(None, validation_alias="INWORLD_API_KEY")
    """Key for inworld. Unset: none."""
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    """Key for openai. Unset: none."""


def variable(field: str) -> str:
    """The environment variable that sets a field of `PipelineSettings`.

    Args:
        field: Name of the field.

    Returns:
        The variable's name; the first one where several are read.
    """
    alias = PipelineSettings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return str(alias)
