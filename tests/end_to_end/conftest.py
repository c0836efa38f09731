"""One whole system for all end-to-end tests, and speech for its callers."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bench.harness.system import ROOT, System
from client import wav
from client.caller import Caller
from client.wav import Sound

BROKEN = '''"""An agent whose brain cannot be reached."""

from greenroom import Agent, Provider

agent = Agent(
    name="broken",
    prompt="You never answer.",
    greeting="Hello from the broken agent.",
    llm=Provider("openai-compatible", {"model": "none"}),
    overridable=(),
)
'''

FAULTY = '''"""An agent whose author made a mistake."""

from greenroom import Agent


def processors(call):
    return {}[call.session_id]


agent = Agent(name="faulty", prompt="You never come to it.", greeting="Hello.", processors=processors)
'''


PHONE = '''"""An agent that knows who telephones."""

from greenroom import Agent, Call


async def number(call: Call) -> str:
    """Tell the number from which the caller telephones."""
    return f"Your number is {call.phone.from_number}" if call.phone else "You don't telephone."


agent = Agent(name="phone", prompt="You answer the phone.", greeting="Hello on the phone.", tools=[number])
'''


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("system")
    agents = directory / "agents"
    agents.mkdir()
    shutil.copy(ROOT / "agents" / "default.py", agents)
    (agents / "broken.py").write_text(BROKEN)
    (agents / "faulty.py").write_text(FAULTY)
    (agents / "phone.py").write_text(PHONE)
    environment = {
        "GREENROOM_AGENTS": str(agents),
        "PREWARM_POOL_SIZE": "2",
        "GREENROOM_SLOTS": "6",
        "GREENROOM_HANGUP_GRACE": "3",
        "GREENROOM_CALLER_GRACE": "4",
        "GREENROOM_JOIN_SECONDS": "15",
        "GREENROOM_OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }
    with System(directory, environment) as running:
        yield running


@pytest.fixture
async def caller(system: System) -> AsyncIterator[Caller]:
    async with Caller(system.url) as one:
        yield one
        if one.started is not None:
            await one.stop()


@pytest.fixture(scope="session")
def human() -> Sound:
    """A human voice, from moonshine-voice: "It was the best of times, it was the worst of times"."""
    package = importlib.util.find_spec("moonshine_voice")
    assert package is not None
    assert package.submodule_search_locations is not None
    whole = wav.read(Path(package.submodule_search_locations[0]) / "assets" / "two_cities.wav")
    return Sound(whole.samples[int(1.1 * whole.rate) : int(4.7 * whole.rate)], whole.rate)
