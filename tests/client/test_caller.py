"""A caller in a real room with an agent that beeps."""

import asyncio
import time

import numpy as np
import pytest

from client.caller import Caller, CallError, NotJoined, TookTooLong
from client.wav import Sound
from tests.support.standin import BEEP_SECONDS, standing_in, token

pytestmark = pytest.mark.anyio

LATE = 0.35
"""Seconds that sound may take from the agent's source to this ear on a busy machine: the source's queue of 0.1 s, the
jitter buffer, and what the machine has else to do."""


def speech(seconds=0.5, lead=0.2):
    samples = np.zeros(int(16000 * (seconds + 2 * lead)), np.int16)
    at = np.arange(int(16000 * seconds))
    samples[int(16000 * lead) :][: len(at)] = np.rint(5000 * np.sin(2 * np.pi * 300 * at / 16000))
    return Sound(samples, 16000)


async def test_a_call_is_measured_and_both_sides_are_written_down(standin):
    async with Caller(standin.url) as caller:
        await caller.start(agent="default", config={"language": "en"}, user_id="alice")
        await caller.join()
        await caller.wait_for_agent(10)
        greeting = await caller.wait_for_sound(caller.asked_at, timeout=10)
        agent = standin.agents[0]
        assert -0.02 < greeting - agent.beeps[0] < LATE
        silent = await caller.wait_for_silence(greeting, quiet=0.3, timeout=5)
        assert silent - greeting == pytest.approx(BEEP_SECONDS, abs=0.1)

        spoken_at = time.monotonic()
        said = await caller.speak(speech())
        assert said.ended - said.began == pytest.approx(0.5, abs=0.06)
        assert said.began - spoken_at == pytest.approx(0.2, abs=0.2)
        answer = await caller.wait_for_sound(said.ended, timeout=10)
        # The agent waits for 0.2 s of silence; it can't have answered before.
        assert 0.15 < answer - said.ended < 0.2 + 2 * LATE
        await caller.wait_for_text("agent", "beep, 42", timeout=5)
        assert [(line.speaker, line.text, line.final) for line in caller.transcript.lines] == [
            ("agent", "Beep, I am here.", True),
            ("user", "Are you there?", True),
            ("agent", "Beep, 42.", True),
        ]
        await caller.wait_for_state("listening", 5)
        await caller.stop()
    assert standin.started == [{"agent": "default", "config": {"language": "en"}, "userId": "alice", "waitMs": 0}]
    assert standin.stopped == ["session_0"]
    assert caller.ear.recording(caller.asked_at).seconds > 1.0


async def test_what_is_written_reaches_the_agent(standin):
    async with Caller(standin.url) as caller:
        await caller.start()
        await caller.join()
        await caller.wait_for_agent(10)
        await caller.write("hello")
        assert await caller.wait_for_text("agent", "You wrote hello", timeout=5)
        shown = [(line.speaker, line.text) for line in caller.transcript.lines]
        assert shown.count(("user", "hello")) == 1
        assert shown.index(("user", "hello")) < shown.index(("agent", "You wrote hello"))
    assert standin.agents[0].read == ["hello"]


async def test_what_is_said_can_be_broken_off(standin):
    async with Caller(standin.url) as caller:
        await caller.start()
        await caller.join()
        speaking = asyncio.create_task(caller.speak(speech(seconds=30)))
        await caller.wait_for(lambda: caller.microphone.source.queued_duration > 0, "speech", 5)
        caller.microphone.hush()
        with pytest.raises(asyncio.CancelledError):
            await speaking
        assert (await caller.speak(speech())).ended - caller.asked_at < 10


async def test_an_agent_that_does_not_come_is_told_in_time(livekit_url):
    async with standing_in(livekit_url, comes=False) as standin, Caller(standin.url) as caller:
        await caller.start()
        await caller.join()
        with pytest.raises(TookTooLong, match=r"an agent in the room: not within 0\.3 s"):
            await caller.wait_for_agent(0.3)


async def test_a_room_that_is_lost_ends_every_wait(standin, livekit_url):
    async with Caller(standin.url) as caller, Caller(standin.url) as second:
        await caller.start()
        await caller.join()
        waiting = asyncio.create_task(caller.wait_for_text("agent", "never said", timeout=20))
        # Another join under the same name takes the call over.
        await second.join(livekit_url, token("session_0", "caller-session_0"))
        with pytest.raises(NotJoined, match="DUPLICATE_IDENTITY"):
            await waiting


async def test_a_room_that_cannot_be_joined_is_an_error_that_names_it(livekit_url):
    async with Caller("http://127.0.0.1:9") as caller:
        with pytest.raises(NotJoined, match=livekit_url):
            await caller.join(livekit_url, "no token at all")


async def test_what_needs_a_session_says_so_when_there_is_none():
    async with Caller("http://127.0.0.1:9") as caller:
        with pytest.raises(CallError, match="no session was started"):
            await caller.stop()
