"""Tools: what a function's signature tells the brain, and that running one never harms the call."""

import asyncio
import enum
import json
import logging
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from pipeline.agents.tools import Call, describe, end_call, repeatable, run, tools_schema
from pipeline.errors import ToolFault


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Address(BaseModel):
    street: str
    number: int = 1


class Tree(BaseModel):
    branches: "list[Tree]" = []


@dataclass
class Ending:
    """Counts how often the call was to end."""

    times: int = 0

    async def end(self) -> None:
        self.times += 1


def call(ending: Ending | None = None) -> Call:
    return Call("session_1", "default", (ending or Ending()).end)


async def plain(text: str, count: int, share: float, sure: bool) -> str:
    """Do it.

    More about it.

    Args:
        text: What to say.
        count: How often.
    """
    return f"{text!r} {count!r} {share!r} {sure!r}"


async def choices(size: Size, tone: Literal["high", "low"], sizes: list[Size], when: date | None = None) -> Any:
    """Choose."""
    return {"size": size.value, "tone": tone, "sizes": [item.value for item in sizes], "when": when}


async def defaults(name: Optional[str] = None, limit: Annotated[int, Field(ge=1, le=9)] = 3) -> Any:  # noqa: UP045
    """Look."""
    return [name, limit]


async def nested(to: Address) -> Any:
    """Send."""
    return to


async def with_call(word: str, line: Call) -> str:
    """Say.

    Args:
        word: A word.
        line: Never seen by the brain.
    """
    return f"{word} {line.session_id}"


async def odd_names(json: str, model_config: int, _hidden: bool = False) -> Any:
    """Take names that pydantic uses for itself."""
    return [json, model_config, _hidden]


SMALL_LARGE = {"enum": ["small", "large"], "type": "string"}
SCHEMAS: list[tuple[Any, dict[str, Any], tuple[str, ...]]] = [
    (
        plain,
        {
            "text": {"type": "string", "description": "What to say."},
            "count": {"type": "integer", "description": "How often."},
            "share": {"type": "number"},
            "sure": {"type": "boolean"},
        },
        ("text", "count", "share", "sure"),
    ),
    (
        choices,
        {
            "size": SMALL_LARGE,
            "tone": {"enum": ["high", "low"], "type": "string"},
            "sizes": {"type": "array", "items": SMALL_LARGE},
            "when": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None},
        },
        ("size", "tone", "sizes"),
    ),
    (
        defaults,
        {
            "name": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "limit": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
        },
        (),
    ),
    (
        nested,
        {
            "to": {
                "type": "object",
                "properties": {"street": {"type": "string"}, "number": {"type": "integer", "default": 1}},
                "required": ["street"],
            }
        },
        ("to",),
    ),
    (with_call, {"word": {"type": "string", "description": "A word."}}, ("word",)),
    (end_call, {}, ()),
]


@pytest.mark.parametrize(
    ("function", "properties", "required"), SCHEMAS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_signature_becomes_a_schema(function: Any, properties: dict[str, Any], required: tuple[str, ...]) -> None:
    tool = describe(function)
    assert tool.properties == properties
    assert tool.required == required
    json.dumps(tool.properties)


def test_the_docstring_is_the_description_without_its_arguments() -> None:
    description = describe(plain).description
    assert description.startswith("Do it.")
    assert "More about it." in description
    assert "How often" not in description


def test_pipecat_takes_the_schema() -> None:
    schema = tools_schema([describe(plain), describe(end_call)])
    assert schema is not None
    assert [tool.name for tool in schema.standard_tools] == ["plain", "end_call"]
    assert tools_schema([]) is None


def test_a_tool_is_repeatable_only_when_marked() -> None:
    @repeatable
    async def look() -> str:
        """Look."""
        return ""

    assert describe(look).repeatable
    assert not describe(plain).repeatable


def not_async(text: str) -> str:
    """Speak."""
    return text


async def silent(text: str) -> str:
    return text


async def untyped(text) -> str:  # type: ignore[no-untyped-def]
    """Speak."""
    return str(text)


async def starred(*words: str) -> str:
    """Speak."""
    return ""


async def by_position(text: str, /) -> str:
    """Speak."""
    return text


async def unknown_type(text: "Nowhere") -> str:  # type: ignore[name-defined]  # noqa: F821
    """Speak."""
    return ""


async def not_json(lock: asyncio.Lock) -> str:
    """Speak."""
    return ""


async def endless(tree: Tree) -> str:
    """Speak."""
    return ""


@pytest.mark.parametrize(
    ("function", "problem", "remedy"),
    [
        (not_async, "is not an async function", "async def"),
        (silent, "has no docstring", "what the tool does"),
        (untyped, "has no type for its argument 'text'", "text: str"),
        (starred, "takes *words", "Name each argument"),
        (by_position, "by position only", "Remove the /"),
        (unknown_type, "Nowhere", "Import the type"),
        (not_json, "JSON cannot carry", "Literal"),
        (endless, "JSON cannot carry", "Literal"),
    ],
)
def test_a_function_that_is_no_tool_is_told_why_and_what_to_change(function: Any, problem: str, remedy: str) -> None:
    with pytest.raises(ToolFault) as fault:
        describe(function)
    assert problem in fault.value.problem
    assert remedy in fault.value.remedy
    assert fault.value.line == function.__code__.co_firstlineno


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("function", "sent", "result"),
    [
        (plain, {"text": "a", "count": "3", "share": 1, "sure": "true"}, "'a' 3 1.0 True"),
        (plain, {"text": "a", "count": 3.0, "share": "0.5", "sure": False, "more": 1}, "'a' 3 0.5 False"),
        (
            choices,
            {"size": "small", "tone": "low", "sizes": ["large"], "when": "2026-11-23"},
            {"size": "small", "tone": "low", "sizes": ["large"], "when": "2026-11-23"},
        ),
        (defaults, {}, [None, 3]),
        (nested, {"to": {"street": "High"}}, {"street": "High", "number": 1}),
        (with_call, {"word": "hi", "line": "forged"}, "hi session_1"),
        (odd_names, {"json": "a", "model_config": 1, "_hidden": True}, ["a", 1, True]),
    ],
)
async def test_a_models_arguments_are_converted(function: Any, sent: dict[str, Any], result: Any) -> None:
    assert await run(describe(function), sent, call(), timeout=5) == result


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("function", "sent", "said"),
    [
        (plain, {"text": "a", "count": "many", "share": 1, "sure": True}, "count: Input should be a valid integer"),
        (plain, {"text": "a"}, "count: Field required"),
        (choices, {"size": "huge", "tone": "low", "sizes": []}, "size: Input should be 'small' or 'large'"),
        (defaults, {"limit": 10}, "limit: Input should be less than or equal to 9"),
        (plain, ["a"], "must be an object"),
    ],
)
async def test_wrong_arguments_are_told_to_the_brain_by_name(function: Any, sent: Any, said: str) -> None:
    result = await run(describe(function), sent, call(), timeout=5)
    assert said in result["error"]


@pytest.mark.anyio
async def test_a_tool_that_raises_is_a_result_and_its_message_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> str:
        """Fail."""
        raise KeyError("card 4111")

    with caplog.at_level(logging.DEBUG):
        assert await run(describe(fails), {}, call(), timeout=5) == {"error": "The tool fails failed."}
    assert "KeyError at" in caplog.text
    assert "4111" not in caplog.text


@pytest.mark.anyio
async def test_a_tool_that_takes_too_long_is_stopped() -> None:
    stopped = asyncio.Event()

    async def slow() -> str:
        """Take long."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    result = await run(describe(slow), {}, call(), timeout=0.01)
    assert "too long" in result["error"]
    assert stopped.is_set()


@pytest.mark.anyio
async def test_a_timeout_of_the_tools_own_is_a_failure_not_slowness() -> None:
    async def gives_up() -> str:
        """Give up."""
        raise TimeoutError

    assert await run(describe(gives_up), {}, call(), timeout=5) == {"error": "The tool gives_up failed."}


@pytest.mark.anyio
async def test_a_result_that_json_cannot_carry_is_a_failure() -> None:
    async def strange() -> object:
        """Return strangely."""
        return object()

    assert await run(describe(strange), {}, call(), timeout=5) == {"error": "The tool strange failed."}


@pytest.mark.anyio
@pytest.mark.parametrize("value", [0, False, "", []])
async def test_a_result_of_nothing_is_still_told(value: Any) -> None:
    async def count() -> object:
        """Count."""
        return value

    assert await run(describe(count), {}, call(), timeout=5) == {"result": value}


@pytest.mark.anyio
async def test_a_cancelled_call_cancels_its_tool() -> None:
    async def waits() -> str:
        """Wait."""
        await asyncio.Event().wait()
        return ""

    task = asyncio.create_task(run(describe(waits), {}, call(), timeout=5))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.anyio
async def test_end_call_ends_the_call_once_and_asks_for_a_goodbye() -> None:
    ending = Ending()
    assert "goodbye" in await run(describe(end_call), {}, call(ending), timeout=5)
    assert ending.times == 1
