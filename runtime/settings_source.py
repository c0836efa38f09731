"""Lets every secret of a settings class be given by a file; session/settings.py and pipeline/settings.py use it."""

from __future__ import annotations

import os
from typing import Any, get_args

from dotenv import dotenv_values
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from runtime.secret_files import from_files


class SecretFiles(PydanticBaseSettingsSource):
    """NAME_FILE for each field that is a SecretStr. Anything that is set itself wins."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: all are read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The secrets that are given by files, by the name of the setting. Raises SecretFileError."""
        written = {name: value for name, value in dotenv_values(".env").items() if value}
        return from_files(secret_names(self.settings_cls), written | dict(os.environ))


class SecretSettings(BaseSettings):
    """Base of settings whose secrets may come by files (NAME_FILE), too."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Secrets may come by files (NAME_FILE), too."""
        return init_settings, SecretFiles(settings_cls), env_settings, dotenv_settings


def secret_names(settings: type[BaseSettings]) -> list[str]:
    """The names in the environment of every secret of these settings."""
    return [
        name
        for field in settings.model_fields.values()
        if field.annotation is SecretStr or SecretStr in get_args(field.annotation)
        for name in _names(field.validation_alias)
    ]


def _names(alias: object) -> list[str]:
    return [str(name) for name in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]
