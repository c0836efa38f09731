from typing import Any

import pytest

from dispatcher.errors import BadConfig
from dispatcher.starts.session_config import LANGUAGE, LISTED, MOST_GREETING, check_known, check_values, listed
from pipeline.agents import checks
from pipeline.agents.definition import Agent
from pipeline.errors import ConfigRefused
from session.store.ports import Worker
from tests.session.making import a_worker

AGENT = Agent(name="a", prompt="Be kind.", greeting="Hello.", overridable=checks.OVERRIDABLE)
BAD: list[dict[str, Any]] = [
    {"prompt": ""},
    {"prompt": " \n"},
    {"greeting": ""},
    {"greeting": "!!!"},
    {"greeting": "a" * 1001},
    {"greeting": "a\0"},
    {"language": ""},
    {"language": "English"},
    {"language": "de_AT"},
]


@pytest.mark.parametrize("config", BAD, ids=str)
def test_what_every_agent_refuses_is_refused_before_one_is_asked(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigRefused):
        AGENT.with_config(config)
    with pytest.raises(BadConfig, match=f"^config.{next(iter(config))} .*[.]$"):
        check_values(config)


@pytest.mark.parametrize(
    "config", [{}, {"prompt": "p", "greeting": "a" * 1000, "language": "en"}, {"language": "zh-Hans-CN"}], ids=str
)
def test_what_an_agent_takes_passes(config: dict[str, Any]) -> None:
    AGENT.with_config(config)
    check_values(config)


def test_the_rules_are_those_of_agents() -> None:
    assert (LANGUAGE.pattern, MOST_GREETING) == (checks.LANGUAGE.pattern, checks.MAX_GREETING)


def telling(**changes: Any) -> Worker:
    return a_worker(
        **{
            "languages": {"stt/moonshine": ["en"], "tts/hibari": ["en"]},
            "voices": {"tts/hibari": ["american", "heart"]},
            "speaks": {"default": {"stt": "moonshine", "llm": "rules", "tts": "hibari"}},
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"language": "de-AT"}, "config.language must be one of en."),
        ({"voice": "emma"}, "config.voice must be one of american, heart."),
        ({"voice": "emma", "tts": {"name": "hibari"}}, "config.voice must be one of american, heart."),
        ({"language": "de", "stt": "deepgram"}, "config.language must be one of en."),
        ({"language": "de", "stt": "deepgram, moonshine", "tts": "a"}, "config.language must be one of en."),
        ({"voice": "emma", "tts": ["hibari", "cartesia"]}, "config.voice must be one of american, heart."),
        ({"voice": {"cartesia": "x", "hibari": "emma"}}, "config.voice must be one of american, heart."),
    ],
    ids=str,
)
def test_what_no_provider_here_has_is_refused_with_what_there_is(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadConfig) as caught:
        check_known([telling(), telling()], "default", config)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("worker", "config"),
    [
        pytest.param(telling(), {"language": "en-GB", "voice": "Heart"}, id="what there is"),
        pytest.param(telling(), {"voice": "emma", "tts": "cartesia"}, id="a voice of a provider that does not tell"),
        pytest.param(telling(), {"language": "de", "stt": "a", "tts": "b"}, id="a language of providers that do not"),
        pytest.param(telling(), {"voice": "emma", "tts": "cartesia, hibari"}, id="a voice of the first in a list"),
        pytest.param(telling(), {"voice": {"cartesia": "x", "hibari": "heart"}}, id="voices by provider"),
        pytest.param(telling(speaks={}), {"voice": "emma"}, id="of a worker that does not tell what its agent uses"),
        pytest.param(a_worker(), {"voice": "emma", "language": "de"}, id="of a worker of the release before"),
    ],
)
def test_what_a_provider_may_have_is_left_to_it(worker: Worker, config: dict[str, Any]) -> None:
    check_known([worker], "default", config)
    check_known([telling(), telling(voices={}, languages={})], "default", config)


def test_a_refusal_lists_ten_names_at_most() -> None:
    names = [f"n{number:02}" for number in range(LISTED + 3)]
    assert listed(names) == "n00, n01, n02, n03, n04, n05, n06, n07, n08, n09 and 3 more"
    assert (listed(["b", "a"]), listed([])) == ("a, b", "none")
