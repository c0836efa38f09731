from typing import Any

import pytest

from dispatcher.errors import BadConfig
from dispatcher.starts.session_config import LANGUAGE, MOST_GREETING, check_values
from pipeline.agents import checks
from pipeline.agents.definition import Agent
from pipeline.errors import ConfigRefused

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
