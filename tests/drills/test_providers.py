"""Providers die, hang, answer 429 or garbage in mid-call: the next in the list goes on; then they come back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from bench.harness.system import System
from client.caller import Caller
from session.store.ports import CIRCUIT_FAILURES
from tests.drills.conftest import ENVIRONMENT
from tests.drills.hosted import Hosted, Kind, Mode, hosted
from tests.drills.talk import BACK_SECONDS, Talk
from tests.support.asking import until_answer

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

MODES: tuple[Mode, ...] = ("dies", "hangs", "429", "garbage")
KINDS: tuple[Kind, ...] = ("stt", "llm", "tts")
ANSWER_SECONDS = 8.0  # GREENROOM_ANSWER_SECONDS
REST_SECONDS = 60.0  # for which a provider that failed is left alone


@pytest.fixture(scope="module")
def provider() -> Iterator[Hosted]:
    with hosted() as running:
        yield running


@pytest.fixture(scope="module")
def environment(provider: Hosted) -> dict[str, str]:
    """Each kind has a hosted provider, and the bundled one stands last."""
    lists = {f"GREENROOM_{kind}": "openai, local" for kind in ("STT", "LLM", "TTS")}
    # OpenAI's SDK reads the address.
    return {**ENVIRONMENT, **lists, "OPENAI_API_KEY": "drill", "OPENAI_BASE_URL": provider.url}


@pytest.fixture(autouse=True)
async def no_failures(system: System, provider: Hosted) -> None:
    """Nothing is known of the drills before."""
    provider.work()
    async with Redis.from_url(system.redis_url, decode_responses=True) as client:
        for key in await client.keys("greenroom:*:*circuit*"):
            await client.delete(key)


async def says(talk: Talk, provider: Hosted, words: str, expected: str, *, heard_as: str | None = None) -> float:
    """Say something and hear an answer to its end; seconds from the caller's last sound to the agent's first."""
    provider.hears = words if heard_as is None else heard_as

    def said() -> int:
        return talk.caller.transcript.said("agent").casefold().count(expected)

    before = said()
    spoken = await talk.caller.speak(talk.speech(words))
    await talk.caller.wait_for(lambda: said() > before, f"an answer with “{expected}”", BACK_SECONDS)
    sound = await talk.caller.wait_for_sound(spoken.ended, timeout=BACK_SECONDS)
    await talk.settled()
    return sound - spoken.ended


async def begun(talk: Talk, provider: Hosted) -> None:
    """A call that the hosted provider has greeted and answered."""
    await talk.caller.start()
    await talk.caller.join()
    await talk.caller.wait_for_sound(talk.caller.asked_at, timeout=BACK_SECONDS)
    await talk.settled()
    await says(talk, provider, "The weather is nice today.", "i heard: the weather is nice today")
    assert all(provider.asked[kind] for kind in KINDS)


@pytest.mark.parametrize("mode", MODES)
async def test_the_llm_fails_in_mid_call(http, talk, provider, timed, mode):
    await begun(talk, provider)
    provider.modes["llm"] = mode
    waited = await says(talk, provider, "What is twelve plus thirty?", "42")
    assert timed(f"an answer ({mode})", waited) < ANSWER_SECONDS
    assert talk.caller.transcript.said("agent").casefold().count("i heard: what") <= 1  # nothing is said twice
    asked = provider.asked["llm"]
    await says(talk, provider, "What is one plus one?", "is 2")
    assert provider.asked["llm"] == asked  # it is left alone
    assert (await talk.record(http))["status"] == "ready"


@pytest.mark.parametrize("mode", MODES)
async def test_the_ears_fail_in_mid_call(http, talk, provider, timed, mode):
    await begun(talk, provider)
    provider.modes["stt"] = mode
    waited = await says(talk, provider, "What is twelve plus thirty?", "twelve", heard_as="Nobody said this.")
    assert timed(f"an answer ({mode})", waited) < ANSWER_SECONDS
    asked = provider.asked["stt"]
    await says(talk, provider, "What is one plus one?", "one plus one", heard_as="Nobody said this.")
    assert provider.asked["stt"] == asked
    record = await talk.record(http)
    assert record["status"] == "ready"
    assert "Nobody" not in talk.caller.transcript.said("agent")


@pytest.mark.parametrize("mode", MODES)
async def test_the_voice_fails_in_mid_call(http, talk, provider, timed, mode):
    await begun(talk, provider)
    provider.modes["tts"] = mode
    waited = await says(talk, provider, "What is twelve plus thirty?", "anything else?")
    assert timed(f"an answer ({mode})", waited) < ANSWER_SECONDS
    said = [each["text"] for each in await talk.written(http) if each["speaker"] == "agent"]
    assert said[-1].startswith("I heard: What is twelve plus thirty")  # whole, and once
    assert said[-1].count("heard") == 1
    asked = provider.asked["tts"]
    await says(talk, provider, "What is one plus one?", "one plus one")
    assert provider.asked["tts"] == asked
    assert (await talk.record(http))["status"] == "ready"


async def test_they_come_back(http, talk, provider):
    await begun(talk, provider)
    for kind in KINDS:
        provider.modes[kind] = "dies"
    await says(talk, provider, "What is twelve plus thirty?", "42")
    failed = time.monotonic()
    provider.work()
    await says(talk, provider, "What is one plus one?", "is 2")
    assert provider.asked == dict.fromkeys(KINDS, 0)
    await talk.caller.wait_for(lambda: time.monotonic() > failed + REST_SECONDS, "its rest is over", REST_SECONDS + 5)
    await says(talk, provider, "The weather is nice today.", "i heard: the weather is nice today")
    assert all(provider.asked[kind] for kind in KINDS)
    assert (await talk.record(http))["status"] == "ready"


async def _asks(system: System) -> None:
    """A call in which one question is asked and answered."""
    async with Caller(system.url) as caller:
        await caller.start()
        await caller.join()
        await caller.wait_for_sound(caller.asked_at, timeout=BACK_SECONDS)
        await caller.wait_for_quiet(0.8, timeout=BACK_SECONDS)
        await caller.write("What is twelve plus thirty?")
        await caller.wait_for_text("agent", "42", timeout=BACK_SECONDS)
        await caller.stop()


async def test_what_some_calls_met_others_know(system, http, talk, provider, timed):
    """Five failures in five calls open a circuit: the sixth call never asks, and health says why."""
    provider.modes.update({"llm": "429", "tts": "429"})
    for _ in range(CIRCUIT_FAILURES):
        await _asks(system)
    health = await until_answer(http, "/api/health", lambda each: len(each["warnings"]) == 2, 5)
    assert health["status"] == "degraded"
    metrics = (await http.get("/metrics")).text
    for kind, warning in zip(("llm", "tts"), health["warnings"], strict=True):
        assert f"The {kind} provider openai keeps failing" in warning
        assert f'greenroom_provider_circuit_open{{kind="{kind}",provider="openai"}} 1.0' in metrics
    asked = dict(provider.asked)
    await talk.caller.start()
    await talk.caller.join()
    greeted = await talk.caller.wait_for_sound(talk.caller.asked_at, timeout=BACK_SECONDS)
    timed("the greeting of the sixth call", greeted - talk.caller.asked_at)
    await talk.settled()
    waited = await says(talk, provider, "What is twelve plus thirty?", "42")
    assert timed("an answer of the sixth call", waited) < 2.5
    assert (provider.asked["llm"], provider.asked["tts"]) == (asked["llm"], asked["tts"])
