"""`.env.example` against the settings it describes: every one, with its default, and no other."""

import dataclasses
import itertools
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import AliasChoices, SecretStr
from pydantic_settings import BaseSettings

from cli.up.settings import UpSettings
from dispatcher.settings import DispatcherSettings
from pipeline.settings import PipelineSettings
from worker.settings import WorkerSettings, default_slots

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
# What is read before there are settings: by `make setup` and by what finds livekit-server.
OF_THE_SETUP = ("GREENROOM_PYTHON", "GREENROOM_CACHE", "LIVEKIT_SERVER_BIN")


def written() -> dict[str, str]:
    """The settings in the example by name, each as it is written after the `=`."""
    return dict(re.findall(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE))


def names(alias: Any) -> list[str]:
    return [str(name) for name in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def shown(default: Any) -> str:
    """A default as it is written in an environment."""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, bool):
        return "1" if default else "0"
    if isinstance(default, float):
        return f"{default:.10g}"
    return "" if default is None else str(default)


def defaults_of(settings: type[BaseSettings]) -> dict[tuple[str, ...], str]:
    """Names of each setting, the one that wins first, and its default; what depends on the machine is left empty."""
    found: dict[tuple[str, ...], str] = {}
    for field in settings.model_fields.values():
        default = "" if field.is_required() else field.get_default(call_default_factory=True)
        if field.default_factory is default_slots:
            default = ""
        found[tuple(names(field.validation_alias))] = shown(default)
    return found


def all_defaults() -> dict[tuple[str, ...], str]:
    up = {tuple(field.metadata["names"]): shown(field.default) for field in dataclasses.fields(UpSettings)}
    # Last, because `up` has no addresses of its own where it starts the servers itself.
    for settings in (PipelineSettings, WorkerSettings, DispatcherSettings):
        up |= defaults_of(settings)
    return up


@pytest.mark.parametrize(("aliases", "default"), all_defaults().items(), ids=lambda value: str(value))
def test_every_setting_is_in_the_example_with_its_default(aliases, default):
    assert written().get(aliases[0]) == default
    for other in aliases[1:]:
        assert other in EXAMPLE.read_text("utf-8")


def test_nothing_else_is_in_the_example():
    known = {name for aliases in all_defaults() for name in aliases} | set(OF_THE_SETUP)
    assert set(written()) - known == set()
    assert set(OF_THE_SETUP) <= set(written())


def test_every_setting_says_what_it_is_before_its_line():
    lines = EXAMPLE.read_text("utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"# [A-Z][A-Z0-9_]*=", line):
            assert re.match(r"# .*[.:]$", before), f"nothing before {line}"


def test_a_copy_changes_nothing_until_a_line_is_uncommented():
    assert all(not line or line.startswith("#") for line in EXAMPLE.read_text("utf-8").splitlines())


def test_what_the_example_says_is_accepted_as_it_is(tmp_path, monkeypatch):
    for name in written():
        monkeypatch.delenv(name, raising=False)
    given = {name: value for name, value in written().items() if value}
    given |= {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 40}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    monkeypatch.chdir(tmp_path)
    assert "GREENROOM_PORT" not in os.environ
    for settings in (PipelineSettings(), WorkerSettings(), DispatcherSettings()):
        for name, field in type(settings).model_fields.items():
            if not field.is_required():
                assert getattr(settings, name) == field.get_default(call_default_factory=True)
