"""Two LiveKit nodes and two workers on machines of their own: what is cut off, and what dies, costs no call."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from client.caller import Caller
from client.wav import Sound
from tests.drills.conftest import ENVIRONMENT
from tests.drills.nodes import Nodes, needs_networks
from tests.drills.talk import Talk, one_agent

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300), needs_networks]

PLACES = 12  # calls until one comes to the first machine: LiveKit chooses between the two


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """One start for all of this file; the last of the drills takes a machine away."""
    given = {name: value for name, value in ENVIRONMENT.items() if name != "PREWARM_POOL_SIZE"}
    with Nodes(tmp_path_factory.mktemp("nodes"), given) as nodes:
        yield nodes


@pytest.fixture
async def talk(
    system: Nodes, http: httpx.AsyncClient, speech: Callable[[str], Sound], request: pytest.FixtureRequest
) -> AsyncIterator[Talk]:
    """A caller on the second node, whose agent is on the first machine and knows its name."""
    async with on_the_first(system, http, speech) as talk:
        yield talk
        await talk.caller.stop()


@asynccontextmanager
async def on_the_first(system: Any, http: httpx.AsyncClient, speech: Callable[[str], Sound]) -> AsyncIterator[Talk]:
    for _ in range(PLACES):
        async with Caller(system.url) as caller:
            talk = Talk(system, caller, speech)
            started = await caller.start(wait_ms=10_000)
            assert started.status == "ready", system.logs()
            if (await talk.record(http))["worker"] == system.first.name:
                await caller.join()
                await caller.wait_for_sound(caller.joined_at, timeout=30)
                await caller.wait_for_quiet(0.8, timeout=30)
                await talk.tell("My name is Alice.", "Alice")
                yield talk
                return
            await caller.stop()
    raise AssertionError(f"none of {PLACES} calls came to {system.first.name}")


async def test_an_agent_that_is_cut_from_livekit_alone_is_replaced(system, http, talk, timed):
    attempt = (await talk.record(http))["attempt"] + 1
    system.first.cut(system.second.address)
    cut = time.monotonic()
    try:
        assert timed("agent back", await talk.agent_back(cut, attempt)) < 8
        timed("it is heard", await talk.heard(cut, last=1))
        await talk.settled()
        await talk.recalls()
        assert (await talk.record(http))["worker"] == system.second.name
        assert await one_agent(system, talk.session) == [f"agent-{talk.session}-{attempt}"]
    finally:
        system.first.mend(system.second.address)


async def test_a_node_and_the_worker_on_it_die_together(system, http, talk, timed):
    attempt = (await talk.record(http))["attempt"] + 1
    system.first.die()
    died = time.monotonic()
    assert timed("agent back", await talk.agent_back(died, attempt)) < 7
    timed("it is heard", await talk.heard(died, last=1))
    await talk.settled()
    await talk.recalls()
    assert (await talk.record(http))["worker"] == system.second.name
    assert await one_agent(system, talk.session) == [f"agent-{talk.session}-{attempt}"]
