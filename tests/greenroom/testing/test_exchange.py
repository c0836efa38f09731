"""What authors ask of an exchange."""

import pytest

from greenroom.testing.exchange import Exchange, ToolCall, says


@pytest.mark.parametrize(
    ("phrase", "found"),
    [
        ("how can I help", True),
        ("HELLO HOW", True),
        ("I'm Bob", True),
        ("hell", False),
        ("help you tomorrow", False),
        ("<think>", True),
        ("**", False),
        ("!!", False),
    ],
)
def test_words_are_found_whole_and_marks_as_they_are_written(phrase, found):
    assert says("Hello, how can I help? I’m Bob, <Think>.".replace("’", "'"), phrase) is found


def test_a_phrase_of_marks_alone_is_not_found_everywhere():
    assert not says("Hello.", "?")
    assert says("Hello?", "?")


def test_a_tool_was_called_when_the_arguments_that_matter_are_the_same():
    exchange = Exchange("Hi", tools=(ToolCall("price", {"pizza": "salami", "count": 3}),))
    assert exchange.called("price")
    assert exchange.called("price", count="3")
    assert exchange.called("price", pizza="Salami")
    assert not exchange.called("price", pizza="funghi")
    assert not exchange.called("price", size="large")
    assert not exchange.called("order")
