"""Words that speech-to-text is not sure of: asked once to be said again, and never lost beside sure ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pipecat.frames.frames import Frame, TextFrame, TranscriptionFrame, TTSSpeakFrame, UserStoppedSpeakingFrame

from pipeline.frames import NoWordsFrame, UnsureTranscriptionFrame
from pipeline.talk.unclear import Unclear
from tests.pipeline.stage import Stage, running, until

pytestmark = pytest.mark.anyio

SENTENCE = "Sorry, I didn't catch that."


def unsure(text: str) -> Frame:
    return UnsureTranscriptionFrame(text, "", "")


def sure(text: str) -> Frame:
    return TranscriptionFrame(text, "", "")


class Turns:
    """Sends turns and tells what came through."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def turn(self, *frames: Frame) -> list[str]:
        """The words that got through in one turn, and what the agent said; "-" is a frame for no words."""
        before = len(self._stage.tail.frames)
        ends = len(self._stage.tail.of(UserStoppedSpeakingFrame)) + 1
        await self._stage.send(*frames)
        passed = sum(not isinstance(frame, UnsureTranscriptionFrame) for frame in frames)
        await until(lambda: len(self._stage.tail.frames) >= before + passed, "the words are through")
        await self._stage.send(UserStoppedSpeakingFrame())
        await until(lambda: len(self._stage.tail.of(UserStoppedSpeakingFrame)) == ends, "the end is through")
        await self._stage.send(TextFrame("mark"))
        await until(lambda: self._stage.tail.frames[-1].name.startswith("TextFrame"), "all is through")
        new = self._stage.tail.frames[before:-1]
        return [
            "-" if isinstance(f, NoWordsFrame) else f.text
            for f in new
            if isinstance(f, TextFrame | TTSSpeakFrame | NoWordsFrame)
        ]


@asynccontextmanager
async def listening(*, sentence: str = SENTENCE, speaking: bool = False) -> AsyncIterator[Turns]:
    async with running(Unclear(sentence, lambda: speaking)) as stage:
        yield Turns(stage)


async def test_unsure_words_are_asked_to_be_said_again_once() -> None:
    async with listening() as call:
        assert await call.turn(unsure("mutant tag it merged")) == ["-", SENTENCE]
        assert await call.turn(unsure("one cy morgan")) == ["one cy morgan"]
        assert await call.turn(unsure("yearn wisson")) == ["-", SENTENCE]


async def test_unsure_words_beside_sure_ones_are_not_lost() -> None:
    async with listening() as call:
        assert await call.turn(unsure("my number is"), sure("4 7 1 1")) == ["-", "my number is", "4 7 1 1"]
        assert await call.turn(sure("my number is"), unsure("4 7 1 1")) == ["my number is", "4 7 1 1"]


async def test_sure_words_are_answered_and_a_later_doubt_is_asked_again() -> None:
    async with listening() as call:
        assert await call.turn(unsure("mutant tag")) == ["-", SENTENCE]
        assert await call.turn(sure("Good day.")) == ["Good day."]
        assert await call.turn(unsure("mutant tag")) == ["-", SENTENCE]


async def test_a_foreign_voice_over_the_agent_is_no_words() -> None:
    async with listening(speaking=True) as call:
        assert await call.turn(unsure("mutant tag")) == ["-"]


async def test_an_agent_without_a_sentence_answers_everything() -> None:
    async with listening(sentence="") as call:
        assert await call.turn(unsure("mutant tag")) == ["mutant tag"]
        assert await call.turn(unsure("mutant tag")) == ["mutant tag"]
