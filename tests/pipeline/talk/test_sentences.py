import time
from functools import partial

import pytest
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ControlFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)

from pipeline.fallback.llm import BrokeOffFrame
from pipeline.talk.sentences import HELD_SECONDS, Sentences, begun
from tests.pipeline.stage import Stage, running, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "spoken", "rest"),
    [
        ("One", "", "One"),
        ("One two", "One", " two"),
        ("One two ", "One two", " "),
        ("First this, then th", "First this,", " then th"),
        ("It costs 1,50", "It costs", " 1,50"),
        ("", "", ""),
    ],
)
def test_what_can_be_spoken_of_a_sentence_that_is_not_whole(text: str, spoken: str, rest: str) -> None:
    assert begun(text) == (spoken, rest)


class MarkFrame(ControlFrame):
    """Comes out behind what went in before it."""


def spoken(stage: Stage) -> list[str]:
    return [frame.text for frame in stage.tail.of(AggregatedTextFrame)]


def pieces(text: str) -> list[LLMTextFrame]:
    return [LLMTextFrame(text[at : at + 3]) for at in range(0, len(text), 3)]


async def test_words_become_sentences() -> None:
    async with running(Sentences("en", 8.0, time.monotonic)) as stage:
        await stage.send(LLMFullResponseStartFrame(), *pieces("Hello there. It costs 2.50 euros! Bye"))
        await until(lambda: len(spoken(stage)) == 2, "two are whole")
        await stage.send(LLMFullResponseEndFrame())
        await until(lambda: stage.tail.of(LLMFullResponseEndFrame), "the answer ends")
        assert spoken(stage) == ["Hello there.", "It costs 2.50 euros!", "Bye"]
        assert stage.tail.of(LLMTextFrame) == []


async def test_of_an_answer_that_broke_off_what_is_not_whole_is_forgotten() -> None:
    async with running(Sentences("en", 8.0, time.monotonic)) as stage:
        broke = BrokeOffFrame()
        await stage.send(LLMFullResponseStartFrame(), *pieces("Hello there. It co"), broke)
        assert await broke.spoken == "Hello there."
        await stage.send(*pieces("It is free."), LLMFullResponseEndFrame())
        await until(lambda: stage.tail.of(LLMFullResponseEndFrame), "the answer ends")
        assert spoken(stage) == ["Hello there.", "It is free."]


@pytest.mark.parametrize("cut", [InterruptionFrame, LLMFullResponseStartFrame])
async def test_another_answer_begins_anew(cut: type[InterruptionFrame]) -> None:
    async with running(Sentences("en", 8.0, time.monotonic)) as stage:
        await stage.send(LLMFullResponseStartFrame(), *pieces("Hello there. It co"))
        await until(lambda: spoken(stage), "one is whole")
        await stage.send(cut())
        await until(lambda: stage.tail.of(cut), "it is cut off")
        broke = BrokeOffFrame()
        await stage.send(broke)
        assert await broke.spoken == ""


async def test_a_slow_sentence_is_spoken_in_parts() -> None:
    now = [100.0]
    sentences = Sentences("en", 8.0, lambda: 100.0, lambda: now[0])
    async with running(sentences) as stage:
        for word in ("I ", "am ", "looking ", "for ", "your ", "very ", "long ", "lost ", "order"):
            now[0] += 1.5
            mark = MarkFrame()
            await stage.send(LLMTextFrame(word), mark)
            await until(partial(stage.tail.frames.__contains__, mark), "it is taken")
        assert spoken(stage) == ["I am looking for", "your very long lost"]
        await stage.send(LLMFullResponseEndFrame())
        await until(lambda: stage.tail.of(LLMFullResponseEndFrame), "the answer ends")
        assert spoken(stage)[2:] == ["order"]


async def test_words_that_come_fast_after_a_long_wait_are_not_torn_apart() -> None:
    assert HELD_SECONDS > 0.5
    async with running(Sentences("en", 8.0, lambda: time.monotonic() - 7.0)) as stage:
        await stage.send(LLMFullResponseStartFrame(), *pieces("I have it here. Take it."), LLMFullResponseEndFrame())
        await until(lambda: stage.tail.of(LLMFullResponseEndFrame), "the answer ends")
        assert spoken(stage) == ["I have it here.", "Take it."]
