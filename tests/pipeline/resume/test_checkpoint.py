"""A checkpoint comes back as it was, fits its bound, and is refused without a word of what was in it."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest

from pipeline.errors import UnreadableCheckpoint
from pipeline.resume.checkpoint import MAX_BYTES, VERSION, Checkpoint, Entry

SECRET = "my pin is 4711"


def user(words: str) -> dict[str, Any]:
    return {"role": "user", "content": words}


def agent(words: str) -> dict[str, Any]:
    return {"role": "assistant", "content": words}


def called(number: int, result: str) -> list[dict[str, Any]]:
    """A tool call and its result, in the shape Pipecat's assistant aggregator writes."""
    call = {"id": f"call_{number}", "function": {"name": "look", "arguments": '{"what": "ü"}'}, "type": "function"}
    return [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": result, "tool_call_id": f"call_{number}"},
    ]


FULL = Checkpoint(
    messages=(agent("Hello."), user("How much?"), *called(1, '"five"'), agent("Five. \ud83d 今日は")),
    pending="And",
    speaking="It is",
    journal=(
        Entry(tool_call_id="call_2", name="look", arguments={"what": [1, None]}),
        Entry(tool_call_id="call_3", name="look", arguments={}, done=True, result={"a": 1}),
    ),
    leaving=True,
    dropped=3,
)


@pytest.mark.parametrize("checkpoint", [FULL, Checkpoint()])
def test_a_checkpoint_comes_back_as_it_was(checkpoint: Checkpoint) -> None:
    assert Checkpoint.from_json(checkpoint.to_json()) == checkpoint
    assert Checkpoint.from_json(checkpoint.to_json().encode()) == checkpoint


def stored(**fields: Any) -> str:
    return json.dumps({**json.loads(FULL.to_json()), **fields})


def test_the_release_before_and_fields_from_the_next_one_are_read() -> None:
    assert Checkpoint.from_json(stored(v=VERSION - 1, mood="calm")) == FULL


def test_fields_that_are_missing_are_empty() -> None:
    assert Checkpoint.from_json('{"v": 1}') == Checkpoint()


CORRUPT = [
    f'{{"v": 1, "pending": "{SECRET}',
    SECRET,
    "[" * 100_000,
    "[]",
    "null",
    b"\xff\xfe",
    json.dumps({"pending": SECRET}),
    stored(v=VERSION + 1),
    stored(v=VERSION - 2),
    stored(v="1"),
    stored(v=True),
    stored(v=None),
    stored(messages=SECRET),
    stored(messages=[SECRET]),
    stored(messages=[{"content": SECRET}]),
    stored(messages=[{"role": SECRET}]),
    stored(messages=[{"role": ["user"], "content": SECRET}]),
    stored(messages=[{"role": "tool", "content": SECRET}]),
    stored(messages=[{"role": "assistant", "tool_calls": [{"id": SECRET}]}]),
    stored(messages=[{"role": "assistant", "tool_calls": {SECRET: 1}}]),
    stored(messages=[{"role": "assistant", "tool_calls": [{"id": 1, "function": {"name": SECRET}}]}]),
    stored(pending=[SECRET]),
    stored(speaking={SECRET: 1}),
    stored(journal=[{"tool_call_id": SECRET}]),
    stored(dropped=SECRET),
]


@pytest.mark.parametrize("text", CORRUPT, ids=lambda text: str(text)[:30])
def test_what_cannot_be_read_is_refused_and_never_shown(text: str | bytes) -> None:
    with pytest.raises(UnreadableCheckpoint) as refused:
        Checkpoint.from_json(text)
    assert SECRET not in str(refused.value)
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def long(turns: int, size: int) -> Checkpoint:
    messages: list[dict[str, Any]] = [agent("Hello.")]
    for number in range(turns):
        messages += [user(f"{number} {'x' * size}"), *called(number, '"five"'), agent("Five.")]
    return Checkpoint(messages=tuple(messages), pending="And", journal=FULL.journal)


def test_of_a_long_conversation_the_newest_whole_turns_are_kept() -> None:
    whole = long(100, 5_000)
    text = whole.to_json()
    kept = Checkpoint.from_json(text)
    assert MAX_BYTES - 6_000 < len(text) <= MAX_BYTES
    assert kept.messages == whole.messages[kept.dropped :]
    assert kept.messages[0]["role"] == "user"
    assert (kept.pending, kept.journal) == ("And", FULL.journal)


def test_a_conversation_that_fits_is_kept_whole() -> None:
    assert Checkpoint.from_json(long(40, 5_000).to_json()).dropped == 0


def test_no_tool_call_is_parted_from_its_result() -> None:
    call, result = called(1, '"five"')
    big = user("x" * (MAX_BYTES // 3))
    messages = (big, call, big, result, big, agent("So."))  # cut at the second one, the result would lose its call
    kept = Checkpoint.from_json(Checkpoint(messages=messages).to_json())
    assert kept.messages == (big, agent("So."))
    assert kept.dropped == 4


def test_a_turn_too_long_by_itself_is_cut_short_and_stays_a_turn() -> None:
    call, result = called(1, "y" * MAX_BYTES)
    call["tool_calls"][0]["function"]["arguments"] = json.dumps({"what": "z" * MAX_BYTES})
    messages = (user("Before."), agent("Yes."), user("How much?"), call, result)
    text = Checkpoint(messages=messages, speaking="It").to_json()
    assert len(text) <= MAX_BYTES
    kept = Checkpoint.from_json(text)
    assert kept.dropped == 2
    assert [message["role"] for message in kept.messages] == ["user", "assistant", "tool"]
    assert kept.messages[0] == user("How much?")
    assert kept.messages[1]["tool_calls"][0]["function"] == {"name": "look", "arguments": "{}"}
    assert set(kept.messages[2]["content"]) == {"y"}


def test_a_result_too_long_for_the_journal_is_cut_short() -> None:
    entry = Entry(tool_call_id="c", name="look", arguments={"a": "b"}, done=True, result={"rows": ["r"] * MAX_BYTES})
    text = Checkpoint(messages=(user("How much?"),), journal=(entry,)).to_json()
    assert len(text) <= MAX_BYTES
    kept = Checkpoint.from_json(text)
    assert kept.messages == (user("How much?"),)
    assert kept.journal[0].arguments == {"a": "b"}
    assert kept.journal[0].result.startswith('{"rows":["r"')


def test_a_turn_of_countless_messages_is_left_out() -> None:
    messages = (user("So."), *(agent("and") for _ in range(MAX_BYTES // 20)))
    text = Checkpoint(messages=messages, pending="What").to_json()
    assert len(text) <= MAX_BYTES
    kept = Checkpoint.from_json(text)
    assert (kept.messages, kept.pending, kept.dropped) == ((), "What", len(messages))


def test_what_json_cannot_carry_is_left_out() -> None:
    picture = {"role": "user", "content": [{"type": "image", "data": b"\x89PNG"}]}
    kept = Checkpoint.from_json(Checkpoint(messages=(picture,)).to_json())
    assert kept.messages == ({"role": "user", "content": [{"type": "image", "data": None}]},)
