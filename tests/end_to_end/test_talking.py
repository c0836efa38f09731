"""A caller talks with a warm agent: real server, real store, real speech over real WebRTC."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from client.caller import Caller
from client.transcript import contains
from client.wav import Sound
from pipeline.local.stt import Moonshine
from tests.support.asking import until_answer

pytestmark = pytest.mark.anyio

GREETING = "hello how can I help you today"


async def _greeted(caller: Caller) -> None:
    await caller.start()
    await caller.join()
    await caller.wait_for_sound(caller.asked_at, timeout=10)
    await caller.wait_for_quiet(0.8, timeout=10)


async def _ask(caller: Caller, sound: Sound, expected: str) -> float:
    said = await caller.speak(sound)
    heard = await caller.wait_for_sound(said.ended, timeout=10)
    await caller.wait_for_text("agent", expected, timeout=10)
    await caller.wait_for_quiet(0.8, timeout=10)
    return heard - said.ended


async def test_the_greeting_is_heard_whole_and_the_waterfall_is_recorded(caller, http):
    await _greeted(caller)
    assert caller.agent_at - caller.asked_at < 3.0
    heard = caller.ear.recording(caller.asked_at).at(16_000)
    words = Moonshine()(heard.samples.astype(np.float32) / 32768)
    for word in ("hello", "help", "today"):
        assert contains(words, word), words
    assert contains(caller.transcript.said("agent"), "help you today")
    answer = (await http.get(f"/api/session/{caller.started.session}/timings")).json()
    names = [step["name"] for step in answer["steps"]]
    assert names == ["request", "room", "dispatch", "claim", "passed", "connected", "published", "ready", "first_audio"]
    assert answer["attempt"] == 1
    at = {step["name"]: step["ms"] for step in answer["steps"]}
    assert (
        0
        <= at["claim"]
        <= at["passed"]
        <= at["connected"]
        <= at["published"]
        <= at["ready"]
        <= at["first_audio"]
        < 3000
    )


@pytest.mark.faults
async def test_a_human_is_understood_and_answered(caller, http, human):
    await _greeted(caller)
    gap = await _ask(caller, human, "best of times")
    assert gap < 6.0
    assert contains(caller.transcript.said("user"), "worst of times")
    items = (await http.get(f"/api/session/{caller.started.session}/transcript")).json()["items"]
    assert [item["speaker"] for item in items][:2] == ["agent", "user"]


@pytest.mark.faults
async def test_what_was_told_is_remembered_and_another_call_knows_nothing_of_it(system, speech):
    async with Caller(system.url) as first, Caller(system.url) as second:
        await asyncio.gather(_greeted(first), _greeted(second))
        await _ask(first, speech("My name is Alice."), "Alice")
        await _ask(first, speech("What is my name?"), "Your name is Alice")
        await _ask(second, speech("What is my name?"), "name")
        assert not contains(second.transcript.said("agent"), "Alice")
        await asyncio.gather(first.stop(), second.stop())


async def test_a_barge_in_silences_the_agent_and_only_heard_words_stay(caller, http, speech):
    await _greeted(caller)
    said = await caller.speak(speech("Remember that the parcel stands behind the green door in the old garden."))
    start = await caller.wait_for_sound(said.ended, timeout=10)
    await caller.wait_for(lambda: time.monotonic() > start + 0.3, "0.3 s of the answer", 5)
    interruption = await caller.speak(speech("Wait, please stop talking now."))
    silent = await caller.wait_for_silence(interruption.began, quiet=0.2, timeout=5)
    assert silent - interruption.began < 1.2
    items = (await http.get(f"/api/session/{caller.started.session}/transcript")).json()["items"]
    cut = [item for item in items if item["interrupted"]]
    assert all(len(item["text"]) < 200 for item in cut)


async def test_typed_words_are_answered(caller):
    await _greeted(caller)
    await caller.write("What is two plus two?")
    await caller.wait_for_text("agent", "4", timeout=10)
    assert caller.transcript.said("user") == "What is two plus two?"  # once: its page shows it, the agent does not


@pytest.mark.faults
async def test_silence_and_noise_put_no_words_into_the_callers_mouth(caller):
    await _greeted(caller)
    noise = (np.random.default_rng(1).normal(0, 900, 16_000 * 3)).clip(-32768, 32767).astype(np.int16)
    await caller.speak(Sound(noise, 16_000))
    await caller.speak(Sound(np.zeros(16_000, np.int16), 16_000))
    assert caller.transcript.said("user") == ""


async def test_a_goodbye_ends_the_call(caller, http, speech):
    await _greeted(caller)
    await caller.speak(speech("Goodbye."))
    await caller.wait_for_text("agent", "bye", timeout=10)

    path = f"/api/session/{caller.started.session}"
    answer = await until_answer(http, path, lambda each: each["status"] == "ended", 10)
    assert answer["endReason"] == "finished"


async def test_five_starts_at_once_each_get_one_agent(system):
    callers = [Caller(system.url, listens=False) for _ in range(5)]

    async def begin(one: Caller) -> None:
        await one.start()
        await one.join()
        await one.wait_for_agent(timeout=15)

    try:
        await asyncio.gather(*(begin(one) for one in callers))
        for one in callers:
            assert [agent.identity for agent in one.agents()] == [f"agent-{one.started.session}-1"]
    finally:
        await asyncio.gather(*(one.stop() for one in callers if one.started))
        await asyncio.gather(*(one.leave() for one in callers))
