import json

import pytest

from pipeline.local.rule_brain.tool_use import ToolRequest, ToolSpec, chosen, result_text

WEATHER = ToolSpec("get_weather", {"city": {"type": "string"}}, ["city"])
TOOLS = [
    WEATHER,
    ToolSpec("set_volume", {"level": {"type": "integer"}}, ["level"]),
    ToolSpec("order_status", {"order_number": {"type": "string"}}),
    ToolSpec("switch_lights", {"state": {"type": "string", "enum": ["on", "off"]}}, ["state"]),
]


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        ("What's the weather in Paris?", ToolRequest("get_weather", {"city": "Paris"})),
        ("weather for New York please", ToolRequest("get_weather", {"city": "New York"})),
        ("What's the weather in a small town?", ToolRequest("get_weather", {"city": "small town"})),
        ("What's the weather in The Hague?", ToolRequest("get_weather", {"city": "The Hague"})),
        ("Set the volume to eleven.", ToolRequest("set_volume", {"level": 11})),
        ("Switch the lights off.", ToolRequest("switch_lights", {"state": "off"})),
        ("What is the status of my order?", ToolRequest("order_status")),
        ("What's your favourite colour?", None),
    ],
)
def test_a_tool_is_chosen_by_the_words_of_its_name(sentence, call):
    found, _ = chosen(sentence, TOOLS)
    assert (found and found.name) == (call and call.name)
    if call and call.arguments:
        assert found == call


def test_a_missing_argument_is_asked_for():
    assert chosen("What's the weather?", TOOLS) == (None, "Which city?")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('"It is sunny."', "It is sunny."), ("plain words", "plain words"), ('{"result": "Sent."}', "Sent."),
        ('{"temperature": 21, "rain": false}', "temperature 21, rain no"), ('["milk", "eggs"]', "milk, eggs"),
        ("IN_PROGRESS", ""), ("COMPLETED", "Done."), ("CANCELLED", "That was stopped before it was done."),
        ("42", "42"), ('"{\\"result\\": 5}"', "5"), ("null", ""),
    ],
)  # fmt: skip
def test_a_result_is_put_into_words(content, said):
    assert result_text({"role": "tool", "content": content, "tool_call_id": "1"}) == said


def test_a_late_result_is_found_in_the_message_that_brings_it():
    late = {"type": "async_tool", "status": "finished", "tool_call_id": "1", "result": '"It is done."'}
    assert result_text({"role": "developer", "content": json.dumps(late)}) == "It is done."
    del late["result"]
    assert result_text({"role": "tool", "content": json.dumps(late | {"status": "running"})}) == ""


@pytest.mark.parametrize(
    "message", [{"role": "user", "content": "5"}, {"role": "developer", "content": "Be brief."}, {}]
)
def test_other_messages_are_no_results(message):
    assert result_text(message) == ""
