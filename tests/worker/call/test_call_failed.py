"""A failure in a call's own code ends that call: said to the caller, with its reason, and with its place in the log."""

from __future__ import annotations

import time
from typing import Any

import pytest

from greenroom import Agent, Call, Extra
from pipeline.talk.audio_ends import OUT_RATE
from session.record import STEP_SECONDS, AttemptStep, ErrorReason, State
from tests.pipeline.stage import until
from tests.worker.calls import AGENTS, GREETING, Loaded, Scene, a_call

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loaded")]
APOLOGY_SECONDS = len(Loaded.apology) / 2 / OUT_RATE - 0.05  # the source's clock is that fine
SECRET = "the caller's pin is 4711"


class Broken(Exception):
    """Nobody expects it."""


def broken_hook(call: Call) -> Extra:
    raise Broken(SECRET)


def no_processors(call: Call) -> Any:
    return None


@pytest.fixture
def agents() -> Any:
    """Agents that this module's calls can have besides the usual ones."""
    plain: dict[str, Any] = {"prompt": "Be kind.", "greeting": GREETING}
    made = {
        "hook": Agent(name="hook", processors=broken_hook, **plain),
        "nothing": Agent(name="nothing", processors=no_processors, **plain),
    }
    AGENTS.update(made)
    yield AGENTS
    for name in made:
        del AGENTS[name]


async def the_log(scene: Scene) -> list[tuple[str, str]]:
    lines = await scene.store.logs("session_a", limit=100)
    return [(line["event"], str(line.get("error", ""))) for line in lines]


@pytest.mark.parametrize("agent", ["hook", "nothing"])
async def test_an_agent_whose_own_code_fails_before_it_is_ready_ends_the_call_with_the_first_attempt(
    agents: Any, agent: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_call(agent=agent) as scene:
        came = time.monotonic()
        scene.caller_comes()
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        assert scene.context.shutdowns == ["agent_failed"]
        assert time.monotonic() - came >= APOLOGY_SECONDS, "the caller hears a sentence"
        await scene.close()
        session = await scene.session()
        log = await the_log(scene)
    assert (session.state, session.error, session.attempt) == (State.ERROR, ErrorReason.AGENT_FAILED, 1)
    assert SECRET not in caplog.text
    if agent == "hook":
        ((_, where),) = [line for line in log if line[0] == "task_failed"]
        assert where.startswith(
            f"Broken at tests/worker/call/test_call_failed.py:{broken_hook.__code__.co_firstlineno + 1} < "
        )
        assert where in caplog.text


@pytest.mark.parametrize("config", [{"language": "de"}, {"voice": "nobody"}, {"greeting": "!!!"}], ids=str)
async def test_a_config_that_the_agent_refuses_is_its_own_reason(config: dict[str, str]) -> None:
    async with a_call(config=config) as scene:
        scene.caller_comes()
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        assert scene.context.shutdowns == ["bad_config"]
        await scene.close()
        assert (await scene.session()).error is ErrorReason.BAD_CONFIG


@pytest.mark.faults
async def test_such_a_call_waits_no_longer_for_a_caller_than_its_attempt_may_take(agents: Any) -> None:
    async with a_call(agent="hook") as scene:
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=STEP_SECONDS[AttemptStep.CLAIMED])
    assert scene.context.shutdowns == ["agent_failed"]


async def test_a_failure_of_the_calls_own_task_is_said_to_the_caller_and_ends_the_call() -> None:
    async with a_call() as scene:
        scene.caller_comes()
        await scene.until_said(1)
        failed_at = time.monotonic()
        scene.call.failed(raised(Broken(SECRET)))
        await until(lambda: scene.context.shutdowns, "the call ends", seconds=20)
        assert scene.context.shutdowns == ["agent_failed"]
        assert time.monotonic() - failed_at >= APOLOGY_SECONDS, "the caller hears a sentence"
        await scene.close()
        session = await scene.session()
        log = await the_log(scene)
    assert (session.state, session.error) == (State.ERROR, ErrorReason.AGENT_FAILED)
    assert [event for event, where in log if "Broken at " in where] == ["task_failed", "agent_failed"]


async def test_a_write_that_fails_unexpectedly_costs_no_later_one(caplog: pytest.LogCaptureFixture) -> None:
    async with a_call() as scene:
        scene.store.breaks = Broken(SECRET)
        scene.caller_comes()
        await until(lambda: scene.store.breaks is None, "a write has failed", seconds=20)
        await scene.until_said(1)
        await scene.close()
        session = await scene.session()
    assert session.state is State.RECOVERING, "the end was written: handed over"
    assert "task=outbox error=Broken at " in caplog.text
    assert SECRET not in caplog.text


async def test_signs_of_life_go_on_after_an_unexpected_error(caplog: pytest.LogCaptureFixture) -> None:
    async with a_call() as scene:
        await scene.until_ready()
        scene.store.breaks_alive = Broken(SECRET)
        await until(lambda: scene.store.breaks_alive is None, "a sign has failed", seconds=5)
        seen = scene.store.signs
        await until(lambda: scene.store.signs > seen, "it goes on", seconds=5)
        assert scene.context.shutdowns == []
    assert "task=signs of life error=Broken at " in caplog.text


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Broken as caught:
        return caught
