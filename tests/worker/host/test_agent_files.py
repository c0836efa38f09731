"""Files that are saved, broken, added and removed while a worker runs."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from pipeline.agents.files import forget_agents, load_agents
from pipeline.settings import PipelineSettings
from runtime.background import Background, keep_going
from tests.session.making import eventually
from worker.host.agent_files import AgentFiles, checked_agents, reload_step

TEXT = """from greenroom import Agent

agent = Agent(
    name="{name}",
    prompt="Be kind.",
    greeting="{greeting}",
)
"""


class Folder:
    """Users' files, and what a worker makes of them."""

    def __init__(self, directory: Path) -> None:
        self.path, home = directory / "agents", directory / "home"
        self.path.mkdir()
        home.mkdir()
        self.save("default.py", TEXT.format(name="default", greeting="Hello."))
        settings = PipelineSettings()
        self.files = AgentFiles(self.path, checked_agents(self.path, settings), home, settings)

    def save(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, encoding="utf-8")

    def greet(self, greeting: str, name: str = "default") -> None:
        self.save(f"{name}.py", TEXT.format(name=name, greeting=greeting))

    def look(self) -> bool:
        """Twice: a change counts once it is at rest."""
        return self.files.look() or self.files.look()

    def greetings(self) -> dict[str, str]:
        """As a new call finds them."""
        current = self.files.current.resolve()
        forget_agents(current)
        try:
            return {name: agent.greeting for name, agent in load_agents(current).items()}
        finally:
            forget_agents(current)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "event=agents_faulty" in record.getMessage()]


def test_files_that_nobody_touches_are_not_loaded_again(folder: Folder) -> None:
    current = folder.files.current.resolve()
    assert not folder.look()
    assert folder.files.current.resolve() == current
    assert folder.greetings() == {"default": "Hello."}


def test_a_saved_file_is_what_new_calls_get(folder: Folder) -> None:
    folder.greet("Good day.")
    assert folder.look()
    assert folder.greetings() == {"default": "Good day."}
    assert folder.files.agents["default"].greeting == "Good day."
    assert not folder.look()


def test_a_change_is_loaded_only_once_it_is_at_rest(folder: Folder) -> None:
    folder.greet("Good")
    assert not folder.files.look()
    folder.greet("Good day.")
    assert not folder.files.look()
    assert folder.files.look()
    assert folder.greetings() == {"default": "Good day."}


def test_a_new_file_adds_an_agent_and_a_removed_one_removes_it(folder: Folder) -> None:
    folder.greet("Pizza?", name="pizza")
    assert folder.look()
    assert folder.greetings() == {"default": "Hello.", "pizza": "Pizza?"}
    (folder.path / "pizza.py").unlink()
    assert folder.look()
    assert set(folder.files.agents) == {"default"} == set(folder.greetings())


def test_a_faulty_file_is_said_once_with_its_line_and_the_old_one_kept(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.greet("Good day.")
    assert folder.look()
    folder.save("default.py", TEXT.format(name="default", greeting="...") + "\n")
    assert not folder.look()
    assert not folder.look()
    (fault,) = faults(caplog)
    assert f"{folder.path}/default.py:6: the greeting has no word that can be spoken. For example" in fault
    assert folder.greetings() == {"default": "Good day."}
    folder.save("default.py", "def broken(:\n")
    assert not folder.look()
    assert f"{folder.path}/default.py:1: is not valid Python" in faults(caplog)[1]
    folder.greet("Better.")
    assert folder.look()
    assert folder.greetings() == {"default": "Better."}


@pytest.mark.parametrize("provider", ["groq", "nobody"])
def test_a_provider_that_cannot_be_used_here_is_a_fault(
    folder: Folder, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder.save("default.py", TEXT.format(name="default", greeting="Hi.").replace("\n)", f'\n    llm="{provider}",\n)'))
    assert not folder.look()
    assert len(faults(caplog)) == 1
    assert folder.greetings() == {"default": "Hello."}


def test_a_file_beside_an_agent_is_loaded_anew_with_it(folder: Folder) -> None:
    folder.save("_words.py", "GREETING = 'One.'\n")
    folder.save(
        "default.py",
        "from _words import GREETING\n" + TEXT.format(name="default", greeting="{}").replace('"{}"', "GREETING"),
    )
    assert folder.look()
    assert folder.greetings() == {"default": "One."}
    folder.save("_words.py", "GREETING = 'Two.'\n")  # as long as before, in the same second
    assert folder.look()
    assert folder.greetings() == {"default": "Two."}


def test_a_fault_in_a_file_beside_an_agent_names_that_file(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    folder.save("_words.py", "\nGREETING = (\n")
    folder.save("default.py", "from _words import GREETING\n" + TEXT.format(name="default", greeting="Hi."))
    assert not folder.look()
    assert f"{folder.path}/_words.py:2: is not valid Python" in faults(caplog)[0]


def test_a_folder_that_is_gone_is_said_and_its_agents_stay(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    (folder.path / "default.py").unlink()
    folder.path.rmdir()
    assert not folder.look()
    assert f"{folder.path}: there is no such folder" in faults(caplog)[0]
    assert folder.greetings() == {"default": "Hello."}


@pytest.mark.anyio
async def test_the_worker_is_told_of_a_change_and_not_of_a_fault(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[set[str]] = []

    async def step() -> None:
        await reload_step(folder.files, lambda: told.append(set(folder.files.agents)))

    async def one_change() -> bool:
        return told == [{"default", "pizza"}]

    async def one_fault() -> bool:
        return len(faults(caplog)) == 1

    caplog.set_level(logging.INFO)
    tasks = Background("test")
    tasks.start(keep_going(step, "reload", pause=0.01), "reload")
    folder.greet("Pizza?", name="pizza")
    await eventually(one_change, seconds=5)
    folder.save("pizza.py", "agent = 1\n")
    await eventually(one_fault, seconds=5)
    await asyncio.sleep(0.1)
    await tasks.close()
    assert len(told) == len(faults(caplog)) == 1


def test_a_file_that_is_removed_is_missed_by_the_agent_that_imports_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, home = tmp_path / "agents", tmp_path / "home"
    path.mkdir()
    home.mkdir()
    (path / "_words.py").write_text("GREETING = 'One.'\n")
    text = "from _words import GREETING\n" + TEXT.format(name="default", greeting="")
    (path / "default.py").write_text(text.replace('""', "GREETING"))
    files = AgentFiles(path, checked_agents(path, PipelineSettings()), home, PipelineSettings())
    (path / "_words.py").unlink()
    assert not files.look()
    assert not files.look()
    assert f"{path}/default.py:1: cannot be imported: No module named '_words'" in faults(caplog)[0]
