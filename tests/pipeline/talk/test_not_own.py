"""Conversations on a loudspeaker: the agent's own voice is not answered, the caller's is."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from bench.harness.speech import utterances
from pipeline.agents.definition import Agent
from pipeline.local import stt, tts
from pipeline.settings import PipelineSettings
from pipeline.talk.build import Analyzers, make_analyzers
from pipeline.talk.conversation import Conversation
from tests.pipeline.local.sounds import RATE, recording
from tests.pipeline.stage import Notes, until
from tests.pipeline.talk.echo_room import EchoRoom

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

GREETING = "Good afternoon. I can tell you about our opening hours, the way to us, and the people who work here."


@pytest.fixture
def analyzers() -> Analyzers:
    stt.preload()
    tts.preload([GREETING])
    return make_analyzers(PipelineSettings(_env_file=None))


class Call:
    """An agent with a long greeting, in a room that gives its voice back."""

    def __init__(self, analyzers: Analyzers, delay: float, level: float) -> None:
        settings = PipelineSettings(_env_file=None)
        agent = Agent(name="a", prompt="Be kind.", greeting=GREETING).resolve(settings)
        self.room, self.notes, self.own = EchoRoom(delay, level), Notes(), 0
        self.conversation = Conversation(
            agent, settings, analyzers, sink=self.room, listener=self.notes, session_id="session_a"
        )
        self.conversation.loopback.on_own = self._own

    def _own(self) -> None:
        self.own += 1

    async def __aenter__(self) -> Call:
        self._running = asyncio.create_task(self.conversation.run(), name="conversation")
        await self.conversation.started()
        self._microphone = self.room.open_to(self.conversation.microphone.hear)
        await self._microphone.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._microphone.__aexit__(None, None, None)
        await self.conversation.stop()
        await self._running


@pytest.mark.parametrize(("delay", "level"), [(0.15, -12), (0.3, -20), (0.3, -34)])
async def test_an_agent_on_a_loudspeaker_does_not_answer_itself(
    analyzers: Analyzers, delay: float, level: float
) -> None:
    async with Call(analyzers, delay, level) as call:
        await call.conversation.greet()
        await until(lambda: any(text for text, _ in call.notes.agent), "the greeting is over", seconds=40)
        assert call.notes.agent == [(GREETING, False)]
        await until(lambda: call.notes.states[-1] == "listening", "it listens", seconds=10)
        assert call.notes.user == []
        assert call.notes.words == []
        assert call.own >= (level > -30)


async def test_a_caller_who_speaks_over_an_echo_is_heard(analyzers: Analyzers) -> None:
    async with Call(analyzers, 0.2, -20) as call:
        await call.conversation.greet()
        await until(lambda: call.room.seconds > 2.5, "the agent speaks", seconds=20)
        call.room.speak(recording("two_cities")[int(1.1 * RATE) : int(6 * RATE)])
        await until(lambda: call.notes.user, "the caller is heard", seconds=30)
        assert "it was the best" in " ".join(call.notes.user).lower()


async def test_a_caller_without_an_echo_is_never_taken_for_one(analyzers: Analyzers) -> None:
    async with Call(analyzers, 0.2, -120) as call:
        await call.conversation.greet()
        await until(lambda: call.room.seconds > 2, "the agent speaks", seconds=20)
        call.room.speak(recording("beckett")[: 3 * RATE])
        await until(lambda: call.notes.user, "the caller is heard", seconds=30)
        assert call.own == 0


async def test_a_voice_in_another_language_gets_a_sentence_once_and_no_answer(analyzers: Analyzers) -> None:
    """Human speech played backwards stands for it: no recording of another language comes with the packages."""
    async with Call(analyzers, 0.2, -120) as call:
        call.room.speak(utterances()[5].samples[::-1].astype(np.float32) / 32768)
        await until(lambda: any(text for text, _ in call.notes.agent), "the agent asks", seconds=30)
        assert call.notes.agent == [("Sorry, I didn't catch that.", False)]
        assert call.notes.user == []
        assert call.notes.words == []
