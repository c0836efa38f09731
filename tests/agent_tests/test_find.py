"""Which conversations there are, and whether they fit their agents."""

import pytest

from agent_tests.errors import NoTests, TestFileError
from agent_tests.find import chosen, find
from pipeline.agents.definition import Agent
from pipeline.agents.tools import end_call

AGENTS = {"default": Agent("default", "Be kind.", "Hello.", tools=[end_call])}
TALK = "conversations:\n- name: {name}\n  talk:\n  - said: Hello\n"


def folder(tmp_path, **files):
    home = tmp_path / "tests"
    home.mkdir()
    for name, text in files.items():
        stem, _, ending = name.rpartition("_")
        (home / f"{stem}.{ending}").write_text(text)
    return tmp_path


def test_both_forms_are_found_and_nothing_else(tmp_path):
    python = "async def test_in_python(caller): ..."
    home = folder(
        tmp_path, b_yaml=TALK.format(name="b"), a_yml=TALK.format(name="a"), test_c_py=python, helper_py="1/0"
    )
    assert [case.name for case in find(home, AGENTS)] == ["a", "b", "in python"]


@pytest.mark.parametrize("files", [{}, {"a_yaml": "# none\n"}])
def test_no_conversations_say_where_to_write_some(tmp_path, files):
    with pytest.raises(NoTests, match=r"tests: there are no conversations\. Write one in default\.yaml"):
        find(folder(tmp_path, **files), AGENTS)


def test_no_folder_is_said_so(tmp_path):
    with pytest.raises(NoTests, match=r"tests: there is no such folder\. Make it"):
        find(tmp_path, AGENTS)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("agent: pizza\n" + TALK.format(name="a"), 3, r"there is no agent 'pizza'\. There are: default"),
        (TALK.format(name="a") + "    not called: end_cal\n", 4, r"has no tool 'end_cal'\. Its tools: end_call"),
        (TALK.format(name="a") + "  tools: {price: 3}\n", 5, r"has no tool 'price'\. Its tools: end_call"),
    ],
)
def test_what_does_not_fit_the_agent_is_said_with_its_line(tmp_path, text, line, told):
    with pytest.raises(TestFileError, match=rf"a\.yaml:{line}: .*{told}"):
        find(folder(tmp_path, a_yaml=text), AGENTS)


def test_some_are_chosen_by_name_and_agent(tmp_path):
    cases = find(folder(tmp_path, a_yaml=TALK.format(name="Greets"), b_yaml=TALK.format(name="sells")), AGENTS)
    assert [case.name for case in chosen(cases, tmp_path, only="greet", agent="default")] == ["Greets"]
    with pytest.raises(NoTests, match="There are: Greets, sells"):
        chosen(cases, tmp_path, only="nothing", agent=None)
