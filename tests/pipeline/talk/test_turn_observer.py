"""The observer in a real pipeline, where each frame makes several hops and some are broadcast both ways."""

from __future__ import annotations

import pytest
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    InterruptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import FramePushed
from pipecat.processors.frame_processor import FrameDirection

from pipeline.talk.audio_ends import AudioOutput
from pipeline.talk.turn_observer import TurnObserver
from tests.pipeline.stage import FakeSink, Notes, Tail, running, sentence, until

pytestmark = pytest.mark.anyio


def a_speaker() -> AudioOutput:
    sink = FakeSink(instant=True)
    return AudioOutput(sink, lambda _: None, lambda _, __: None)


async def test_a_frame_that_is_broadcast_over_many_hops_counts_once() -> None:
    notes = Notes()
    async with running(Tail(), a_speaker(), Tail(), Tail(), observers=[TurnObserver(notes)]) as stage:
        await stage.send(*sentence("Hello.", 0.2))
        await until(lambda: stage.tail.of(BotStoppedSpeakingFrame), "it is said")
        await until(lambda: "listening" in notes.states, "the observer has seen the end")
        assert notes.states == ["speaking", "listening"]
        assert notes.turns == [(None, 0)]


async def test_an_answer_is_told_with_its_gap() -> None:
    notes = Notes()
    async with running(Tail(), a_speaker(), observers=[TurnObserver(notes)]) as stage:
        await stage.send(UserStartedSpeakingFrame(), InterruptionFrame(), UserStoppedSpeakingFrame())
        await until(lambda: stage.tail.of(UserStoppedSpeakingFrame), "the caller is done")
        await stage.send(*sentence("Hello.", 0.2))
        await until(lambda: notes.states[-1:] == ["listening"] and len(notes.states) > 2, "it is said")
        assert notes.states == ["listening", "thinking", "speaking", "listening"]
        ((gap, barge_ins),) = notes.turns
        assert gap is not None
        assert 0 <= gap < 5
        assert barge_ins == 0


async def test_speaking_over_the_agent_is_told_with_the_next_turn() -> None:
    notes = Notes()
    sink = FakeSink()
    async with running(AudioOutput(sink, lambda _: None, lambda _, __: None), observers=[TurnObserver(notes)]) as stage:
        await stage.send(*sentence("Hello.", 0.2))
        await until(lambda: sink.draining and notes.turns, "the agent speaks")
        await stage.send(UserStartedSpeakingFrame())
        await until(lambda: notes.states[-1] == "listening", "the caller speaks over it")
        await stage.send(InterruptionFrame(), UserStoppedSpeakingFrame())
        await until(lambda: stage.tail.of(BotStoppedSpeakingFrame), "the agent is done")
        await stage.send(*sentence("Yes?", 0.2))
        await until(lambda: len(notes.turns) == 2, "the agent goes on")
        assert notes.turns[1][1] == 1
        sink.finish()


@pytest.mark.parametrize("direction", list(FrameDirection))
async def test_only_the_copy_that_goes_downstream_counts(direction: FrameDirection) -> None:
    notes = Notes()
    one, other = Tail(), Tail()
    pushed = FramePushed(one, other, UserStartedSpeakingFrame(), direction, timestamp=0)
    await TurnObserver(notes).on_push_frame(pushed)
    assert notes.states == (["listening"] if direction is FrameDirection.DOWNSTREAM else [])
