"""The agent's process dies, hangs, or loses its room in mid-call: another comes, and remembers."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from bench.harness.system import ROOT
from tests.drills.conftest import ENVIRONMENT
from tests.drills.talk import is_told, livekit_api, one_agent
from tests.support.asking import until_answer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

SORRY = "dropped out"
KILLS = 10  # enough for a median and a worst case


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One more agent than usual: one that takes its time."""
    agents = tmp_path_factory.mktemp("agents")
    for agent in (ROOT / "agents" / "default.py", Path(__file__).parent / "agents" / "pensive.py"):
        shutil.copy(agent, agents)
    return {**ENVIRONMENT, "GREENROOM_AGENTS": str(agents)}


@pytest.mark.parametrize("number", range(KILLS))
async def test_agent_killed(system, http, talk, timed, number):
    await talk.begin()
    killed = time.monotonic()
    talk.job.kill()
    timed("new agent in the room", await talk.agent_back(killed, 2))
    assert timed("it is heard", await talk.heard(killed)) < 6
    await is_told(talk.caller, "ready")
    await talk.settled()
    assert SORRY in talk.caller.transcript.said("agent")
    await talk.recalls()
    assert await one_agent(system, talk.session) == [f"agent-{talk.session}-2"]
    record = await talk.record(http)
    assert (record["status"], record["attempt"], record["error"]) == ("ready", 2, None)
    assert talk.caller.lost is None


async def test_agent_killed_while_a_question_is_unanswered(http, talk, timed):
    await talk.begin(agent="pensive")
    await talk.caller.speak(talk.speech("What is twelve plus thirty?"))
    await talk.caller.wait_for_text("user", "twelve", timeout=20)
    killed = time.monotonic()
    talk.job.kill()  # at once: what is shown is remembered
    assert "42" not in talk.caller.transcript.said("agent")
    await talk.caller.wait_for_text("agent", "42", timeout=20)
    timed("the question is answered", time.monotonic() - killed)
    assert SORRY in talk.caller.transcript.said("agent").partition("Alice")[2]
    assert talk.agents() == [f"agent-{talk.session}-2"]
    await talk.settled()
    said = [(each["speaker"], each["text"]) for each in await talk.written(http)]
    assert said.count(("user", "What is twelve plus thirty?")) == 1


async def test_words_over_which_two_agents_died_are_not_given_to_a_third(http, talk):
    await talk.begin(agent="pensive")
    await talk.caller.speak(talk.speech("What is twelve plus thirty?"))
    await talk.caller.wait_for_text("user", "twelve", timeout=20)
    talk.job.kill()
    await talk.agent_back(time.monotonic(), 2)
    await talk.caller.wait_for_text("agent", SORRY, timeout=10)
    talk.newest_job().kill()  # the question is with its LLM, which takes 2 s
    await talk.agent_back(time.monotonic(), 3)
    path = f"/api/session/{talk.session}/logs"
    await until_answer(http, path, lambda each: _events(each).count("words_left_out") == 1, 10)
    await talk.settled()
    assert "42" not in talk.caller.transcript.said("agent")
    await talk.caller.write("What is one plus one?")
    await talk.caller.wait_for_text("agent", "is 2", timeout=20)


def _events(logs: dict[str, Any]) -> list[str]:
    return [line["event"] for line in logs["logs"]]


async def test_agent_stopped(talk, timed):
    await talk.begin()
    stopped = time.monotonic()
    talk.job.send_signal(signal.SIGSTOP)
    assert timed("new agent in the room", await talk.agent_back(stopped, 2)) < 20
    timed("it is heard", await talk.heard(stopped, last=1))
    await talk.settled()
    await talk.recalls()
    assert talk.agents() == [f"agent-{talk.session}-2"]


async def test_agent_cut_off_from_livekit_while_its_process_lives(system, talk, timed):
    await talk.begin()
    cut = time.monotonic()
    async with livekit_api(system) as livekit:
        identity = api.RoomParticipantIdentity(room=talk.session, identity=f"agent-{talk.session}-1")
        await livekit.room.remove_participant(identity)
    assert timed("new agent in the room", await talk.agent_back(cut, 2)) < 6
    timed("it is heard", await talk.heard(cut, last=0.3))
    await talk.settled()
    await talk.recalls()
    assert await one_agent(system, talk.session) == [f"agent-{talk.session}-2"]


async def test_a_crash_loop_ends_with_an_apology(system, http, talk, timed):
    await talk.begin()
    began = time.monotonic()
    job = talk.job
    for attempt in (2, 3, 4):
        job.kill()
        await talk.agent_back(time.monotonic(), attempt)
        job = talk.newest_job()
    killed = time.monotonic()
    job.kill()
    assert timed("the apology is heard", await talk.heard(killed, timeout=15)) < 12
    record = await talk.until_status(http, "error", 20)
    assert record["error"] == "lost"
    assert time.monotonic() - began < 60


async def test_stop_during_recovery(http, talk):
    await talk.begin()
    talk.job.kill()
    await talk.until_status(http, "recovering", 5)
    await talk.caller.stop()
    record = await talk.record(http)
    assert (record["status"], record["endReason"]) == ("ended", "stopped")
    await talk.caller.wait_for(lambda: talk.caller.lost, "the end of the room", 10)
    await until_answer(http, "/api/health", lambda each: each["sessions"]["total"] == 0, 10)
    assert (await talk.record(http))["status"] == "ended"


async def test_caller_leaves_during_recovery(http, talk, timed):
    await talk.begin()
    talk.job.kill()
    await talk.until_status(http, "recovering", 5)
    left = time.monotonic()
    await talk.caller.room.disconnect()
    record = await talk.until_status(http, "ended", 60)
    timed("the session has ended", time.monotonic() - left)
    assert record["endReason"] == "caller_left"
    await until_answer(http, "/api/health", lambda each: each["sessions"]["total"] == 0, 10)
