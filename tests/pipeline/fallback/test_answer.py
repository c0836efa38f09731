import time

import pytest

from pipeline.fallback.answer import Answer, Fresh, audible, owes_words

SAID = "The shop is open."


@pytest.mark.parametrize(
    ("pieces", "fresh"),
    [
        (["It closes", " at six."], "It closes at six."),
        ([SAID, " It closes at six."], " It closes at six."),
        (["The ", "shop ", "is open. It", " closes."], " It closes."),
        (["The sh", "op is shut."], "The shop is shut."),
        ([" ", SAID], ""),
        (["The shop"], ""),
        ([SAID, " ", SAID], f" {SAID}"),
    ],
)
def test_what_an_answer_repeats_of_its_beginning_is_left_out(pieces: list[str], fresh: str) -> None:
    repeated = Fresh(SAID)
    assert "".join(map(repeated.feed, pieces)) == fresh


def test_without_a_beginning_nothing_waits() -> None:
    fresh = Fresh("")
    assert [fresh.feed("a"), fresh.feed(" b")] == ["a", " b"]


def test_a_long_repetition_takes_no_longer_for_each_word() -> None:
    fresh, began = Fresh("word " * 2_000), time.process_time()
    for _ in range(3_000):
        fresh.feed("word ")
    assert time.process_time() - began < 1


def test_the_next_request_begins_with_what_was_said() -> None:
    asked = [{"role": "user", "content": "When?"}]
    assert Answer().beginning(asked) == asked
    assert Answer(said="At six.").beginning(asked) == [*asked, {"role": "assistant", "content": "At six."}]


@pytest.mark.parametrize(
    ("text", "heard"),
    [("", False), (" \n", False), ("🙂", False), ("—…!", False), ("No", True), ("5", True), ("是", True)],
)
def test_what_a_voice_can_say(text: str, heard: bool) -> None:
    assert audible(text) is heard


CALLS = {"role": "assistant", "tool_calls": [{"id": "1"}]}


@pytest.mark.parametrize(
    ("last", "owed"),
    [
        ({"role": "user", "content": "Hello?"}, True),
        ({"role": "tool", "content": "5"}, True),
        (CALLS, True),
        ({"role": "assistant", "content": "Hello."}, False),
        (None, False),
    ],
)
def test_a_brain_owes_words_unless_it_spoke_last(last: dict[str, str] | None, owed: bool) -> None:
    assert owes_words([last] if last else []) is owed
