"""Conversations in YAML: what they become, and what is said of a file that can't be used."""

import pytest

from agent_tests.errors import TestFileError
from agent_tests.expectations import Expected
from agent_tests.yaml_form import _turn, read
from agent_tests.yaml_nodes import YamlFile
from greenroom.testing.script import Failure, ToolRequest

WHOLE = """
agent: pizza
conversations:
  - name: sells
    tools: {price: {euros: 9.5, sizes: [1, 2]}}
    brain:
      - Hello.
      - fails: 429
      - [ "<thi", "nk>", {calls: price, with: {count: 3}} ]
      - ""
    talk:
      - said: Good evening
      - caller: How much?
        said: [9.5, yes]
        not said: no
        matches: eu?ros
        called: [order, {price: {count: 3}}]
        not called: [end_call]
        ended: true
        within: 1.5
        judge: is polite
"""


def written(folder, text):
    path = folder / "a.yaml"
    path.write_text(text, "utf-8")
    return path


def test_all_that_can_be_written_is_read(tmp_path):
    (case,) = read(written(tmp_path, WHOLE), "default")
    assert (case.name, case.agent, case.line) == ("sells", "pizza", 4)
    assert case.tools == {"price": {"euros": 9.5, "sizes": [1, 2]}}
    assert case.brain == (("Hello.",), (Failure(429),), ("<thi", "nk>", ToolRequest("price", {"count": 3})), ("",))
    assert case.names == (("price", 5), ("order", 13), ("price", 13), ("end_call", 13))


def test_times_and_dates_are_texts_and_numbers_are_numbers(tmp_path):
    tools = "  tools: {a: 10:05:30, b: [14:05, 2026-11-23], c: 9.5, d: 3, e: yes}\n"
    (case,) = read(written(tmp_path, TALK + "    said: a\n" + tools), "default")
    assert case.tools == {"a": "10:05:30", "b": ["14:05", "2026-11-23"], "c": 9.5, "d": 3, "e": True}


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_has_no_conversations(tmp_path, text):
    assert read(written(tmp_path, text), "default") == []


TALK = "conversations:\n- name: a\n  talk:\n  - caller: Hi\n"


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (TALK + "    sayd: Hello\n", 5, "a turn has no 'sayd'. Did you mean 'said'?"),
        ("agnet: a\n" + TALK, 1, "the file has no 'agnet'. Did you mean 'agent'?"),
        ("conversations:\n- name: a\n", 2, "a conversation has no talk"),
        ("agent: a\n", 1, "has no conversations"),
        (TALK, 2, "the conversation expects nothing"),
        (TALK + "    said:\n", 5, "said is empty"),
        (TALK + "    said: []\n", 5, "said is empty"),
        (TALK + "    said: {a: b}\n", 5, "said must be a text"),
        (TALK + "    said: a\n    said: b\n", 6, "'said' stands twice"),
        (TALK + "    matches: (\n", 5, "matches is no regular expression"),
        (TALK + "    within: soon\n", 5, "within must be a number of seconds"),
        (TALK + "    ended: 3\n", 5, "ended must be true, false or a reason"),
        (TALK + "    ended: finishd\n", 5, "no call ends as 'finishd'. Did you mean 'finished'? There are: "),
        (TALK.replace("caller", "interrupts") + "    said: a\n", 4, "there is no answer to be interrupted"),
        (TALK + "    said: a\n  - said: b\n", 6, "the turn has no caller"),
        (TALK + "    said: a\n- name: a\n  talk: {said: b}\n", 6, "two conversations are called 'a'"),
        (TALK + "    said: a: b\n", 5, "is not valid YAML"),
        ("conversations: [a\n", 2, "is not valid YAML"),
        ("- a\n", 1, "the file must be names with values. It may have: agent, conversations"),
        (TALK + "    said: a\n  brain:\n  - fails: true\n", 7, "fails must be an error's status in HTTP"),
        (TALK + "    said: a\n  brain:\n  - with: {}\n", 7, "the answer has no calls"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, line, told):
    path = written(tmp_path, text)
    with pytest.raises(TestFileError) as caught:
        read(path, "default")
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert told in str(caught.value)


def test_a_turn_becomes_what_is_expected(tmp_path):
    file = YamlFile(
        written(tmp_path, "caller: Hi\ninterrupts: Stop\nsaid: [9.5, yes]\nnot said: no\nended: false\nwithin: 2\n")
    )
    turn = _turn(file, file.root, first=False)
    assert (turn.caller, turn.interrupts) == ("Hi", "Stop")
    assert turn.expected == Expected(said=("9.5", "yes"), not_said=("no",), ended=False, within=2.0)
