"""Users' files: what makes one an agent, what is said of a faulty one, and that the guide's own load."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from pipeline.agents.files import load_agents
from pipeline.agents.tools import Call, describe, run
from pipeline.errors import AgentFileError
from pipeline.providers import TABLE
from pipeline.settings import PipelineSettings

# Importing Pipecat 1.14's text-to-speech services warns about a class of its own.
pytestmark = pytest.mark.filterwarnings("ignore:.AudioContextTTSService. is deprecated:DeprecationWarning")

GOOD = """from greenroom import Agent

agent = Agent(
    name="default",
    prompt="Be kind.",
    greeting="Hello.",
)
"""

TOOL = """from greenroom import Agent


{function}


agent = Agent(name="default", prompt="Be kind.", greeting="Hello.", tools=[look])
"""


async def _over() -> None:
    pass


def written(folder: Path, text: str, name: str = "default.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def with_field(line: str) -> str:
    return GOOD.replace(")\n", f"    {line},\n)\n")


def without(field: str, instead: str) -> str:
    lines = [instead if f"{field}=" in line else line for line in GOOD.splitlines()]
    return "\n".join(lines) + "\n"


def test_a_good_file_is_an_agent(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    agent = load_agents(tmp_path)["default"]
    assert (agent.name, agent.greeting, agent.language) == ("default", "Hello.", "en")


def test_the_agent_that_ships_loads_and_needs_no_key() -> None:
    agents = load_agents(Path(__file__).parents[3] / "agents")
    resolved = agents["default"].resolve(PipelineSettings(_env_file=None))
    assert resolved.greeting == "Hello, how can I help you today?"
    assert [tool.name for tool in resolved.tools] == ["current_time", "end_call"]


# What is in the file, the line that is named (None: none), what is said about it, and the remedy.
FAULTS: list[tuple[str, str, int | None, str, str]] = [
    ("syntax", 'agent = Agent(name="x"\n', 1, "is not valid Python", "Correct the line"),
    ("import", "import nowhere_at_all\n", 1, "No module named 'nowhere_at_all'", "Install"),
    ("from import", "from greenroom import Agnet\n", 1, "Agnet", "correct the name"),
    ("raises", "\n1 / 0\n", 2, "ZeroDivisionError", "Correct the line"),
    ("exits", "import sys\nsys.exit(3)\n", 2, "SystemExit", "Correct the line"),
    ("no agent", "x = 1\n", None, "defines no agent", "agent = Agent("),
    ("not an agent", 'x = 1\nagent = {"name": "x"}\n', 2, "of type dict", "agent = Agent("),
    ("unknown argument", with_field("colour=1"), 3, "colour", "Correct the line"),
    ("missing argument", without("prompt", ""), 3, "prompt", "Correct the line"),
    ("name", without("name", '    name="My Agent",'), 4, "lower-case", 'name="my-agent"'),
    ("name type", without("name", "    name=7,"), 4, "lower-case", 'name="my-agent"'),
    ("prompt", without("prompt", '    prompt="  ",'), 5, "must be a text", "who the agent is"),
    ("greeting", without("greeting", '    greeting="...",'), 6, "no word", "For example"),
    ("greeting control", without("greeting", '    greeting="Hi\\x07",'), 6, "control characters", "Remove"),
    ("dropped_out", with_field('dropped_out="..."'), 7, "no word", "For example"),
    ("greeting length", without("greeting", '    greeting="ha " * 1000,'), 6, "longer than 1000", "Shorten"),
    ("language", with_field('language="English"'), 7, "must be a tag", 'language="en"'),
    ("voice", with_field("voice=7"), 7, "must be a name", "leave it out"),
    ("provider", with_field('llm="grok"'), 7, "known: groq, openai", "Correct llm"),
    ("provider type", with_field("stt=7"), 7, "must be a name or a Provider", "Provider("),
    ("local voice", with_field('tts="hibari", voice="darth"'), 7, "no voice is called", "Correct tts"),
    ("local language", with_field('stt="moonshine", language="de"'), 7, "must be one of en", "Correct stt"),
    ("tools", with_field("tools=7"), 7, "must be a list", "tools=[current_time]"),
    ("overridable", with_field('overridable=("name",)'), 7, "cannot override name", "Choose from"),
    ("overridable text", with_field('overridable="prompt"'), 7, "must be a tuple", "overridable=("),
    ("processors", with_field("processors=[]"), 7, "must be a function", "return Extra("),
    ("sync tool", TOOL.format(function='def look():\n    """Look."""'), 4, "not an async", "async def"),
    ("untyped tool", TOOL.format(function='async def look(at):\n    """Look."""'), 4, "no type", "at: str"),
    ("silent tool", TOOL.format(function="async def look(): ..."), 4, "no docstring", "what the tool does"),
    ("same tool", with_field("tools=[end, end]").replace("\n\n", "\nfrom greenroom import end_call as end\n"), 7,
     "two tools", "Rename"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "problem", "remedy"), [row[1:] for row in FAULTS], ids=[r[0] for r in FAULTS])
def test_a_faulty_file_is_told_where_what_and_how_to_mend_it(
    tmp_path: Path, text: str, line: int | None, problem: str, remedy: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(AgentFileError) as fault:
        load_agents(tmp_path)
    message = str(fault.value)
    assert message.startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert problem in message
    assert remedy in message


def test_a_faulty_options_name_and_provider_are_told(tmp_path: Path) -> None:
    text = with_field('llm=Provider("groq", {"temprature": 1})').replace("import Agent", "import Agent, Provider")
    path = written(tmp_path, text)
    with pytest.raises(AgentFileError, match=r"'groq': option 'temprature' is not known.*temperature") as fault:
        load_agents(tmp_path)
    assert (fault.value.path, fault.value.line) == (path, 7)


def test_a_folder_given_relatively_still_names_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "\n1 / 0\n")
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(AgentFileError) as fault:
        load_agents(Path(tmp_path.name))
    assert fault.value.line == 2


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(AgentFileError, match=r"no such folder.*GREENROOM_AGENTS"):
        load_agents(tmp_path / "nowhere")


def test_an_empty_folder_is_a_clear_error(tmp_path: Path) -> None:
    written(tmp_path, "1 / 0", "_helper.py")
    with pytest.raises(AgentFileError, match=r"no agent in this folder.*default\.py"):
        load_agents(tmp_path)


def test_a_folder_without_a_default_agent_is_a_clear_error(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace('"default"', '"sales"'), "sales.py")
    with pytest.raises(AgentFileError, match=r"no agent is called 'default' \(there are: sales\)"):
        load_agents(tmp_path)


def test_two_agents_of_one_name_are_refused(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    path = written(tmp_path, GOOD, "other.py")
    with pytest.raises(AgentFileError, match=r"'default' is taken by default\.py") as fault:
        load_agents(tmp_path)
    assert (fault.value.path, fault.value.line) == (path, 4)


def test_an_agent_may_import_a_helper_beside_it(tmp_path: Path) -> None:
    written(tmp_path, 'GREETING = "Good day."\n', "_words_for_tests.py")
    written(tmp_path, "from _words_for_tests import GREETING\n" + GOOD.replace('"Hello."', "GREETING"))
    assert load_agents(tmp_path)["default"].greeting == "Good day."


def test_loading_agents_imports_no_pipecat() -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.agents.files import load_agents;"
        "load_agents(Path('agents')); sys.exit('pipecat' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], timeout=60, check=False)
    assert done.returncode == 0


GUIDE = Path(__file__).parents[3] / "docs" / "write-an-agent.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.anyio
@pytest.mark.parametrize("example", [text for text in EXAMPLES if "agent = Agent(" in text])
async def test_the_guides_agents_load_and_can_be_made(tmp_path: Path, example: str) -> None:
    written(tmp_path, GOOD)
    written(tmp_path, example, "example.py")
    (agent,) = (agent for name, agent in load_agents(tmp_path).items() if name != "default")
    keys = {f"{name}_api_key": SecretStr("k") for name in ("deepgram", "groq", "inworld", "openai")}
    settings = PipelineSettings(_env_file=None, **cast(Any, keys))
    resolved = agent.resolve(settings)
    before_llm, before_tts = resolved.extra_processors(Call("session_1", agent.name, _over))
    assert len(before_llm) + len(before_tts) == ("processors=" in example)


@pytest.mark.anyio
async def test_the_guides_tool_answers_as_it_says() -> None:
    space: dict[str, Any] = {"__name__": "guide"}
    exec(EXAMPLES[0], space)
    price = describe(space["price"])
    call = Call("session_1", "pizza", _over)
    assert await run(price, {"pizza": "Salami", "large": "yes"}, call, timeout=5) == "15.0 euros"
    assert "margherita" in await run(price, {"pizza": "Hawaii"}, call, timeout=5)


def test_the_guides_fault_is_the_one_that_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, EXAMPLES[0].replace("pizza: str, ", "pizza, "), "pizza.py")
    with pytest.raises(AgentFileError) as fault:
        load_agents(tmp_path)
    assert str(fault.value).replace(str(path), "agents/pizza.py") in GUIDE.read_text(encoding="utf-8")


def test_the_guide_names_every_provider() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert [name for names in TABLE.values() for name in names if f"`{name}`" not in text] == []
