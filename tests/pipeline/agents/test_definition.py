"""Agents: what a session may change, and what the deployment fills in."""

from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.agents.definition import Agent, Extra
from pipeline.agents.tools import Call
from pipeline.errors import AgentFault, BadList, BadOption, ConfigRefused, MissingKey, UnknownProvider
from pipeline.providers import Provider
from pipeline.settings import PipelineSettings

# Importing Pipecat 1.14's text-to-speech services warns about a class of its own.
pytestmark = pytest.mark.filterwarnings("ignore:.AudioContextTTSService. is deprecated:DeprecationWarning")


def bare(**more: Any) -> PipelineSettings:
    return PipelineSettings(_env_file=None, **more)


def sales(**more: Any) -> Agent:
    return Agent(name="sales", prompt="Sell.", greeting="Hello.", **more)


def test_a_session_changes_what_the_agent_lets_it() -> None:
    agent = sales(overridable=("greeting", "prompt", "voice"))
    changed = agent.with_config({"greeting": "Good day.", "prompt": "Sell more.", "voice": None})
    assert (changed.greeting, changed.prompt, changed.voice) == ("Good day.", "Sell more.", None)
    assert changed.name == "sales"


@pytest.mark.parametrize("field", ["prompt", "greeting", "stt", "llm", "tts"])
def test_by_default_a_session_chooses_voice_and_language_and_nothing_else(field: str) -> None:
    assert sales().with_config({"voice": "heart", "language": "de"}).language == "de"
    with pytest.raises(ConfigRefused, match="open: language, voice"):
        sales().with_config({field: "x"})


def test_a_session_may_choose_a_provider_by_name_or_with_options() -> None:
    agent = sales(overridable=("llm", "tts"), voice="heart")
    changed = agent.with_config({"llm": {"name": "groq", "options": {"temperature": 0.1}}, "tts": "deepgram"})
    assert changed.llm == Provider("groq", {"temperature": 0.1})
    assert changed.tts == "deepgram"
    assert changed.voice is None


@pytest.mark.parametrize(
    ("overridable", "config", "said"),
    [
        (("prompt",), {"greeting": "Hi."}, "'greeting' cannot be chosen.*open: prompt"),
        ((), {"prompt": "x"}, "open: nothing"),
        (("prompt",), {"promt": "x"}, "'promt' cannot be chosen"),
        (("prompt",), {"name": "other"}, "'name' cannot be chosen"),
        (("prompt",), {"prompt": 7}, "'prompt'.*must be a text"),
        (("greeting",), {"greeting": "   "}, "'greeting'.*no word"),
        (("language",), {"language": ["en"]}, "'language'.*must be a tag"),
        (("voice",), {"voice": 3}, "'voice'.*must be a name"),
        (("llm",), {"llm": 3}, "'llm' must be a name or"),
        (("llm",), {"llm": {"name": "groq", "base_url": "http://x"}}, "'llm' must be a name or"),
        (("llm",), {"llm": "grok"}, "'llm'.*there is no llm provider"),
        (("llm",), {"llm": ["groq", "grok"]}, "'llm'.*there is no llm provider 'grok'"),
        (("llm",), {"llm": []}, "'llm' must be a name or.*, or a list of these"),
        (("llm",), {"llm": ["groq", 3]}, "'llm' must be a name or"),
        (("llm",), {"llm": "local, rules"}, "'llm'.*has 'rules' twice"),
        (("voice",), {"voice": {"hibari": 3}}, "'voice'.*must be a name"),
        (("llm",), {"llm": {"name": "openai", "options": {"base_url": "http://x"}}}, "'base_url' is not known"),
    ],
)
def test_a_sessions_wish_that_is_not_open_or_not_usable_is_refused(
    overridable: tuple[str, ...], config: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigRefused, match=said):
        sales(overridable=overridable).with_config(config)


def test_what_the_agent_leaves_open_comes_from_the_deployment() -> None:
    settings = bare(llm="groq", llm_model="tiny", groq_api_key=SecretStr("k"), tts="openai", voice="marin",
                    openai_api_key=SecretStr("k"))  # fmt: skip
    resolved = sales().resolve(settings)
    assert (resolved.stt, resolved.llm) == ((Provider("moonshine"),), (Provider("groq", {"model": "tiny"}),))
    assert (resolved.tts, resolved.voices) == ((Provider("openai"),), {"openai": "marin"})


def test_a_deployments_voice_and_options_stay_with_its_own_provider() -> None:
    settings = bare(tts="openai", tts_options={"speed": 2}, voice="marin", openai_api_key=SecretStr("k"))
    resolved = sales(tts="hibari").resolve(settings)
    assert (resolved.tts, resolved.voices) == ((Provider("hibari"),), {})


KEYED = {"groq_api_key": SecretStr("k"), "openai_api_key": SecretStr("k")}


def names(providers: tuple[Provider, ...]) -> list[str]:
    return [each.name for each in providers]


def test_an_agent_and_a_deployment_name_providers_in_order() -> None:
    agent = sales(stt="groq, local", llm=[Provider("groq", {"temperature": 0.3}), "openai", "local"])
    resolved = agent.resolve(bare(tts="openai, local", voice={"openai": "marin", "local": "heart"}, **KEYED))
    assert names(resolved.stt) == ["groq", "moonshine"]
    assert resolved.llm == (Provider("groq", {"temperature": 0.3}), Provider("openai"), Provider("rules"))
    assert names(resolved.tts) == ["openai", "hibari"]
    assert resolved.voices == {"openai": "marin", "hibari": "heart"}


def test_a_session_may_name_providers_in_order() -> None:
    agent = sales(overridable=("llm", "tts"), voice="heart")
    changed = agent.with_config({"llm": "groq, local", "tts": [{"name": "openai", "options": {"speed": 2}}, "local"]})
    resolved = changed.resolve(bare(**KEYED))
    assert names(resolved.llm) == ["groq", "rules"]
    assert (resolved.tts, resolved.voices) == ((Provider("openai", {"speed": 2}), Provider("hibari")), {})


def test_a_sessions_voice_is_the_first_providers_and_the_others_keep_theirs() -> None:
    agent = sales(tts="openai, local", voice={"openai": "marin", "hibari": "heart"})
    changed = agent.with_config({"voice": "ash"}).resolve(bare(**KEYED))
    assert changed.voices == {"openai": "ash", "hibari": "heart"}
    deployments = bare(tts="openai, local", voice={"openai": "marin", "hibari": "heart"}, **KEYED)
    assert sales().with_config({"voice": "ash"}).resolve(deployments).voices == {"openai": "ash", "hibari": "heart"}


@pytest.mark.parametrize(
    ("settings", "more", "error", "said"),
    [
        ({}, {"llm": "local, groq"}, MissingKey, "agent 'sales': .*'groq' needs GROQ_API_KEY: set it"),
        ({"llm": "local, grok"}, {}, UnknownProvider, "agent 'sales': .*no llm provider 'grok'; known: groq"),
        ({"stt": "groq, local"}, {"language": "de"}, BadOption, "'moonshine'.*'language' must be one of en"),
        ({"tts": "local, elevenlabs", "elevenlabs_api_key": SecretStr("k")}, {}, BadOption, "'elevenlabs'.*is needed"),
        ({"voice": {"inworld": "Ashley"}}, {}, BadList, "is hibari, and has no 'inworld' to give a voice to"),
        ({"llm": "groq, groq"}, {}, BadList, "has 'groq' twice"),
        ({"llm": "groq,, local"}, {}, BadList, 'an empty place.*write it like "groq, openai, local"'),
        ({"llm": "groq, local", "llm_model": {"openai": "x"}}, {}, BadList, "no 'openai' to give a model to"),
    ],
)
def test_every_provider_of_a_list_is_checked(
    settings: dict[str, Any], more: dict[str, Any], error: type[Exception], said: str
) -> None:
    keys = {} if error is MissingKey else KEYED
    with pytest.raises(error, match=said):
        sales(**more).resolve(bare(**keys, **settings))


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"llm": "groq"}, MissingKey, "agent 'sales': .*GROQ_API_KEY"),
        ({"language": "de"}, BadOption, "agent 'sales': .*must be one of en"),
        ({"voice": "darth"}, BadOption, "agent 'sales': .*no voice is called"),
    ],
)
def test_an_agent_that_cannot_work_here_is_named(more: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        sales(**more).resolve(bare())


async def over() -> None:
    pass


def test_an_agents_own_processors_are_made_for_the_call() -> None:
    calls: list[Call] = []

    def processors(call: Call) -> Extra:
        calls.append(call)
        return Extra(before_tts=[])

    here = Call("session_1", "sales", over)
    assert sales(processors=processors).resolve(bare()).extra_processors(here) == Extra((), [])
    assert calls == [here]
    assert sales().resolve(bare()).extra_processors(here) == Extra()


def test_processors_that_are_not_extra_are_refused() -> None:
    with pytest.raises(AgentFault, match="returned list"):
        sales(processors=lambda call: []).resolve(bare()).extra_processors(Call("session_1", "sales", over))
