"""The bounds of each field of an agent; the messages are tested with the files that cause them."""

from typing import Any

import pytest

from pipeline.agents.checks import CHECKS, MAX_GREETING, MAX_PROMPT, OVERRIDABLE, check_field, check_fields
from pipeline.agents.definition import Agent
from pipeline.errors import AgentFault


def agent(**more: Any) -> Agent:
    return Agent(**{"name": "a", "prompt": "Be kind.", "greeting": "Hello.", **more})


def test_every_field_of_an_agent_is_checked() -> None:
    assert set(CHECKS) == set(Agent.__dataclass_fields__)


@pytest.mark.parametrize(
    "more",
    [
        {"name": "my-agent_2"},
        {"name": "a" * 64},
        {"prompt": "x" * MAX_PROMPT},
        {"greeting": "x" * MAX_GREETING},
        {"greeting": "Grüß Gott!"},
        {"greeting": "今日は"},
        {"dropped_out": ""},
        {"dropped_out": "Da bin ich wieder."},
        {"waiting": "", "no_answer": ""},
        {"waiting": "Ich suche noch."},
        {"language": "de-AT"},
        {"language": "zh-Hans-CN"},
        {"language": "es-419"},
        {"overridable": frozenset(OVERRIDABLE)},
        {"overridable": ()},
    ],
)
def test_what_is_within_the_bounds_is_taken(more: dict[str, Any]) -> None:
    check_fields(vars(agent(**more)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a" * 65),
        ("name", ""),
        ("name", "a\n"),
        ("name", None),
        ("prompt", "x" * (MAX_PROMPT + 1)),
        ("prompt", None),
        ("greeting", "x" * (MAX_GREETING + 1)),
        ("greeting", ""),
        ("greeting", "\u0000Hello"),
        ("dropped_out", " "),
        ("goodbye", ""),
        ("still_there", " "),
        ("not_understood", "..."),
        ("waiting", "..."),
        ("no_answer", None),
        ("dropped_out", "..."),
        ("dropped_out", None),
        ("dropped_out", "x" * (MAX_GREETING + 1)),
        ("dropped_out", "\u0000Hello"),
        ("language", "EN"),
        ("language", "en_US"),
        ("voice", " "),
        ("llm", 3),
        ("tools", None),
        ("tools", "look"),
        ("tools", [3]),
        ("overridable", [["prompt"]]),
    ],
)
def test_what_is_out_of_bounds_is_a_fault_of_its_field(field: str, value: object) -> None:
    with pytest.raises(AgentFault) as fault:
        check_field(vars(agent(**{field: value})), field)
    assert fault.value.field == field
