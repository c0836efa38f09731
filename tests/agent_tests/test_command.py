"""`python -m agent_tests` as its user sees it: what it prints, and its exit code."""

import os
import re
import resource
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from agent_tests.command import FAILED, PASSED, UNUSABLE, main
from pipeline.agents.files import forget_agents

SHIPPED_CPU_SECONDS = 2.0  # start and end included; twice that on a machine that others use, too
AGENT = '''
from greenroom import Agent

async def price(pizza: str) -> str:
    """Look up a price.

    Args:
        pizza: Its name.
    """
    return "11 euros"

agent = Agent(name="default", prompt="Be kind.", greeting="Hello.", tools=[price])
'''
GOOD = """
conversations:
- name: tells a price
  talk:
  - caller: What is the price of a salami?
    called: {price: {pizza: salami}}
    said: 11 euros
    judge: is polite
- name: greets
  talk: {said: Hello}
"""


@pytest.fixture
def agents(tmp_path):
    (tmp_path / "default.py").write_text(AGENT)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "default.yaml").write_text(GOOD)
    yield tmp_path
    forget_agents(tmp_path)


def test_conversations_that_go_well(agents, capsys):
    assert main([str(agents)]) == PASSED
    shown = capsys.readouterr().out
    assert "✓ tells a price" in shown
    assert "1 not judged: no judge was asked: set GREENROOM_OPENAI_BASE_URL and GREENROOM_JUDGE_MODEL" in shown
    assert "2 passed in" in shown


def test_one_that_does_not_is_shown_and_written_for_a_build_server(agents, capsys):
    written = agents / "tests" / "default.yaml"
    written.write_text(GOOD.replace("11 euros", "12 euros"))
    junit = agents / "junit.xml"
    assert main([str(agents), "--junit", str(junit)]) == FAILED
    shown = capsys.readouterr().out
    assert f"{written}:5\n      - said: “12 euros”\n      + the agent said “11 euros”" in shown
    assert 'tool    price(pizza="salami") → 11 euros' in shown
    assert ET.parse(junit).getroot().get("failures") == "1"


def test_only_those_that_were_asked_for_are_held(agents, capsys):
    assert main([str(agents), "--only", "greet"]) == PASSED
    assert "1 passed in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "nothing"], "There are: tells a price, greets"),
        (["--agent", "pizza"], "no conversation is called so"),
        (["--speech", "--jobs", "2"], "spoken ones are held one after the other"),
        (["--junit", "/not/there/junit.xml"], "there is no folder /not/there"),
    ],
)
def test_what_cannot_be_done_says_what_to_do_instead(agents, capsys, words, told):
    assert main([str(agents), *words]) == UNUSABLE
    shown = capsys.readouterr()
    assert told in shown.err
    assert shown.out == ""


def test_a_faulty_agent_or_test_is_said_with_its_line(agents, capsys):
    (agents / "tests" / "default.yaml").write_text(GOOD.replace("called:", "caled:"))
    assert main([str(agents)]) == UNUSABLE
    assert "default.yaml:6: a turn has no 'caled'. Did you mean 'called'?" in capsys.readouterr().err
    (agents / "default.py").write_text(AGENT.replace("pizza: str", "pizza"))
    assert main([str(agents)]) == UNUSABLE
    assert "default.py:4: tool 'price' has no type" in capsys.readouterr().err


def test_a_brain_without_its_key_is_an_error_of_its_conversations(agents, capsys):
    (agents / "default.py").write_text(AGENT.replace("tools=[price]", 'tools=[price], llm="groq"'))
    assert main([str(agents), "--only", "greets"]) == FAILED
    assert "needs GROQ_API_KEY" in capsys.readouterr().out


def test_what_ships_goes_well_in_time():
    def used() -> float:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    before = used()
    command = [sys.executable, "-m", "cli", "test", "agents"]
    root, rules = Path(__file__).resolve().parents[2], {**os.environ, "GREENROOM_LLM": "rules"}
    held = subprocess.run(command, cwd=root, env=rules, capture_output=True, text=True, timeout=100, check=False)
    assert held.returncode == PASSED, held.stdout + held.stderr
    assert used() - before < 2 * SHIPPED_CPU_SECONDS


def test_the_examples_of_the_pages_hold(tmp_path, capsys):
    docs = Path(__file__).resolve().parents[2] / "docs"
    page = (docs / "test-your-agent.md").read_text("utf-8")
    first, second = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    python = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    pizza = re.search(r"```python\n(.*?)```", (docs / "write-an-agent.md").read_text("utf-8"), re.DOTALL)[1]
    (tmp_path / "tests").mkdir()
    (tmp_path / "default.py").write_text(AGENT)
    (tmp_path / "pizza.py").write_text(pizza)
    (tmp_path / "tests" / "pizza.yaml").write_text(first + "\n" + second)
    (tmp_path / "tests" / "test_pizza.py").write_text(python)
    try:
        assert main([str(tmp_path)]) == PASSED, capsys.readouterr().out
    finally:
        forget_agents(tmp_path)
    assert "6 passed in" in capsys.readouterr().out
