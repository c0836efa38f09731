"""An English voice and words that it has no sound for: the LLM gets to know, once."""

from __future__ import annotations

from functools import partial

import pytest

from pipeline.resume.restore import Restored
from pipeline.talk.build import Analyzers
from pipeline.talk.voice_limits import NOTE
from tests.pipeline.providers.openai_server import text_answer
from tests.pipeline.stage import until
from tests.pipeline.talks import Talk, asking, talking, warm

pytestmark = pytest.mark.anyio

CHINESE = "\u4f60\u597d\uff0c\u4e16\u754c"


@pytest.fixture(scope="module")
def analyzers() -> Analyzers:
    return warm()


def has_been_told(talk: Talk, requests: int) -> bool:
    return len(talk.requests) == requests and NOTE in talk.conversation._built.context.messages


@pytest.mark.parametrize("answer", [CHINESE + "\u3002", f"Hello {CHINESE} there."])
async def test_the_llm_is_told_once_of_words_that_were_left_out(analyzers: Analyzers, answer: str) -> None:
    async with asking(analyzers, text_answer(answer), text_answer(answer), text_answer("Hello", ".")) as talk:
        for at, text in enumerate(("One", "Two", "Three"), 1):
            await talk.conversation.answer(text)
            await until(partial(has_been_told, talk, at), "it is asked, and told", seconds=20)
        await until(lambda: "Hello." in talk.said, "the last answer is told", seconds=20)
        told = [each for each in talk.requests[-1]["messages"] if each["content"] == NOTE["content"]]
        assert len(told) == 1
        assert talk.notes.failures == []


async def test_a_note_is_no_question(analyzers: Analyzers) -> None:
    asked = {"role": "user", "content": "My name is Ada."}
    async with talking(analyzers, restored=Restored(messages=(asked, dict(NOTE)), unanswered=True)) as talk:
        await talk.conversation.resume("", unanswered=True)
        await until(lambda: talk.notes.agent, "the answer is told", seconds=20)
        assert talk.notes.agent == [("Nice to meet you, Ada.", False)]
