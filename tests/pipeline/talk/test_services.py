"""What a conversation is made of: of each kind the first provider in its list, while its spares cost nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline import providers
from pipeline.agents.definition import Agent
from pipeline.fallback.candidates import OwnCircuits
from pipeline.providers import Kind, Provider
from pipeline.settings import PipelineSettings
from pipeline.talk.build import Analyzers
from pipeline.talk.services import make_services
from tests.pipeline.stage import Notes, until
from tests.pipeline.talks import GREETING, talking, warm

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.AudioContextTTSService. is deprecated:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def analyzers() -> Analyzers:
    return warm()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def settings_with(server: socket.socket, **more: Any) -> PipelineSettings:
    address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    return PipelineSettings(_env_file=None, turn="silence", openai_base_url=address, **more)


async def test_a_spare_is_not_made_before_it_is_needed(monkeypatch: pytest.MonkeyPatch, silent: socket.socket) -> None:
    made: list[tuple[Kind, str]] = []
    really = providers._make

    def watched(kind: Kind, choice: Provider, *given: Any, **more: Any) -> Any:
        made.append((kind, choice.name))
        return really(kind, choice, *given, **more)

    monkeypatch.setattr(providers, "_make", watched)
    settings = settings_with(
        silent, stt="local, groq", llm="local, openai-compatible", tts="local, groq", groq_api_key=SecretStr("k")
    )
    agent = Agent(name="a", prompt="Be kind.", greeting=GREETING).resolve(settings)
    make_services(agent, settings, OwnCircuits(), owner="session_a", noticed=Notes().noticed)
    assert sorted(made) == [("stt", "moonshine"), ("tts", "hibari")]  # the conversation makes the first LLM


async def test_a_call_greets_and_answers_without_connecting_to_its_spare(
    analyzers: Analyzers, silent: socket.socket
) -> None:
    settings = settings_with(silent, llm="local, openai-compatible", llm_model={"openai-compatible": "tiny"})
    async with talking(analyzers, settings) as talk:
        await talk.conversation.greet()
        await until(lambda: GREETING in talk.said, "it greets")
        await talk.conversation.answer("Hello, how are you?")
        await until(lambda: len(talk.notes.agent) > 1, "it answers")
        with pytest.raises(BlockingIOError):
            silent.accept()


async def test_nothing_stands_between_a_call_and_the_bundled_speech_alone() -> None:
    settings = PipelineSettings(_env_file=None)
    agent = Agent(name="a", prompt="Be kind.", greeting=GREETING).resolve(settings)
    made = make_services(agent, settings, OwnCircuits(), owner="session_a", noticed=Notes().noticed)
    assert (type(made.stt).__name__, type(made.tts).__name__) == ("MoonshineSTT", "HibariTTS")
