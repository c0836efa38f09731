"""Words interrupt the agent once a turn, before they go on; a listener's do not, and do not go on."""

from __future__ import annotations

import pytest
from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)

from pipeline.frames import NoWordsFrame
from pipeline.talk.floor import Floor, Send, TurnWords
from pipeline.talk.heard import SpokenOver
from tests.pipeline.stage import running, until

pytestmark = pytest.mark.anyio

PASSED = (InterruptionFrame, TranscriptionFrame, InterimTranscriptionFrame, NoWordsFrame)


def words(text: str) -> TranscriptionFrame:
    return TranscriptionFrame(text, "", "")


async def goes_on(floor: Floor, *frames: Frame) -> list[type[Frame]]:
    """What of these frames, and which others, come out of the floor."""
    async with running(floor) as stage:
        await stage.send(*frames, words("The end."))
        await until(lambda: [each for each in stage.tail.of(TranscriptionFrame) if each.text == "The end."], "all pass")
        return [type(frame) for frame in stage.tail.of(*PASSED)][:-1]


async def test_the_first_words_of_a_turn_interrupt_and_later_ones_do_not() -> None:
    passed = await goes_on(Floor(SpokenOver), words("I want"), words("a pizza."))
    assert passed == [InterruptionFrame, TranscriptionFrame, TranscriptionFrame]


async def test_each_turn_interrupts_anew() -> None:
    async with running(Floor(SpokenOver)) as stage:
        for number in (1, 2):
            await stage.send(words("Hello."))
            await until(lambda: len(stage.tail.of(TranscriptionFrame)) == number, "the words pass")  # noqa: B023
            await stage.send(UserStoppedSpeakingFrame())
            await until(lambda: len(stage.tail.of(UserStoppedSpeakingFrame)) == number, "the turn ends")  # noqa: B023
        assert len(stage.tail.of(InterruptionFrame)) == 2


async def test_a_listeners_words_and_words_that_may_change_interrupt_nothing() -> None:
    floor = Floor(lambda: SpokenOver(speaking=True))
    async with running(floor) as stage:
        await stage.send(InterimTranscriptionFrame("Uh", "", ""), words("Uh-huh."), words(" "))
        await until(lambda: stage.tail.of(TranscriptionFrame), "what is no word passes")
        assert len(stage.tail.of(InterimTranscriptionFrame)) == len(stage.tail.of(NoWordsFrame)) == 1
        assert stage.tail.of(InterruptionFrame) == []
        assert [frame.text for frame in stage.tail.of(TranscriptionFrame)] == [" "]


async def test_the_same_words_are_an_answer_when_the_agent_is_silent_or_has_asked() -> None:
    for over in (SpokenOver(), SpokenOver(speaking=True, asked=True)):
        assert await goes_on(Floor(lambda: over), words("Right.")) == [  # noqa: B023
            InterruptionFrame,
            TranscriptionFrame,
        ]


async def test_words_wait_until_the_interruption_is_through() -> None:
    order = list[str]()

    async def interrupt(send: Send) -> None:
        await send(InterruptionFrame())
        order.append("interrupted")

    floor = Floor(SpokenOver)
    floor.interrupt = interrupt
    async with running(floor) as stage:
        await stage.send(words("Hello."))
        await until(lambda: stage.tail.of(TranscriptionFrame), "the words pass")
        assert order == ["interrupted"]


def test_something_is_owed_after_a_turn_that_interrupted_nothing() -> None:
    turn = TurnWords()
    assert not turn.ends_wordless(UserStartedSpeakingFrame())
    assert turn.ends_wordless(UserStoppedSpeakingFrame())
    assert not any(
        map(turn.ends_wordless, (UserStartedSpeakingFrame(), InterruptionFrame(), UserStoppedSpeakingFrame()))
    )
