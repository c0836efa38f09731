"""How soon the agent falls silent for a caller who speaks over it: human voices, Silero and the whole pipeline."""

from __future__ import annotations

import asyncio
import statistics
import time

import numpy as np
import pytest

from pipeline.agents.definition import Agent
from pipeline.local import tts as hibari
from pipeline.settings import PipelineSettings
from pipeline.talk.audio_ends import IN_RATE
from pipeline.talk.build import make_analyzers
from pipeline.talk.conversation import Conversation
from tests.pipeline.local.sounds import recording
from tests.pipeline.stage import FakeSink, Notes, until

pytestmark = pytest.mark.anyio

GOAL, SLACK = 0.3, 3  # seconds, and how many times as many on a machine that others use
CHUNK = IN_RATE // 50  # samples of 20 ms, as a room delivers them
FAINTEST = 0.01  # of full scale: the recordings' own noise is below half of it
TEXT = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen."
BEGINNINGS = [("two_cities", 1.1), ("two_cities", 6.2), ("two_cities", 11.7), ("beckett", 0.0), ("beckett", 3.4)]


class TimedSink(FakeSink):
    """Notes when it was silenced."""

    silent_at: float | None = None

    def clear(self) -> None:
        super().clear()
        self.silent_at = self.silent_at or time.monotonic()


def voice(name: str, begin: float) -> np.ndarray:
    """Two seconds of a reader, from the first sound after `begin` seconds."""
    samples = recording(name)[int(begin * IN_RATE) :]
    frame = IN_RATE // 100
    levels = np.sqrt(np.mean(samples[: samples.size // frame * frame].reshape(-1, frame) ** 2, axis=1))
    first = int(np.argmax(levels >= FAINTEST)) * frame
    return samples[first : first + 2 * IN_RATE]


async def seconds_to_silence(samples: np.ndarray) -> float:
    """Speak over an agent, a second of a quiet room before it; from the first sound to the agent's silence."""
    settings = PipelineSettings(_env_file=None)
    sink = TimedSink()
    agent = Agent(name="a", prompt="Be kind.", greeting=TEXT).resolve(settings)
    conversation = Conversation(
        agent, settings, make_analyzers(settings), sink=sink, listener=Notes(), session_id="session_a"
    )
    running = asyncio.create_task(conversation.run(), name="conversation")
    await conversation.started()
    try:
        await conversation.greet()
        await until(lambda: sink.draining, "the agent speaks", seconds=20)
        room = np.random.default_rng(0).standard_normal(IN_RATE) * 3e-4
        pcm = (np.clip(np.concatenate([room, samples]), -1, 1) * 32767).astype("<i2")
        begin = time.monotonic()
        for at in range(0, pcm.size, CHUNK):
            # A chunk is there when its last sample has been said.
            await asyncio.sleep(max(0.0, begin + (at + CHUNK) / IN_RATE - time.monotonic()))
            await conversation.microphone.hear(pcm[at : at + CHUNK].tobytes())
            if sink.silent_at is not None:
                return sink.silent_at - (begin + room.size / IN_RATE)
        raise AssertionError("the agent never fell silent")
    finally:
        await conversation.stop()
        await running


async def test_the_agent_falls_silent_soon_after_the_callers_first_sound() -> None:
    hibari.preload([TEXT])
    took = [await seconds_to_silence(voice(name, begin)) for name, begin in BEGINNINGS]
    print(f"barge-in, first sound to silence: {[round(1000 * each) for each in took]} ms")
    assert min(took) > 0, "it was the voice that silenced the agent"
    assert statistics.median(took) <= SLACK * GOAL
