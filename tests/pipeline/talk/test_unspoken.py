import time

import pytest

from pipeline.talk.build import Analyzers
from pipeline.talk.unspoken import SpokenText
from tests.pipeline.providers.openai_server import text_answer
from tests.pipeline.stage import until
from tests.pipeline.talks import asking, warm

CASES = [
    ("Hello.", "Hello."),
    ("<think>The caller is rude.</think>Hello.", "Hello."),
    ("Well. <think>a</think>Yes. <thinking>b</thinking>No.", "Well. Yes. No."),
    ("<THINK>x</THINK>Hi.", "Hi."),
    ('Sure.<tool_call>{"name": "end_call"}</tool_call>', "Sure."),
    ("<function=end_call>{}</function>Bye.", "Bye."),
    ("<think>never closed", ""),
    ("2 < 3 and 5 > 4.", "2 < 3 and 5 > 4."),
    ("I <b>mean</b> it.", "I <b>mean</b> it."),
    ("It ends with <", "It ends with <"),
    ("It ends with <thi", "It ends with <thi"),
    ("<think>a < b</think>Done.", "Done."),
]


@pytest.mark.parametrize(("written", "spoken"), CASES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_what_is_not_for_the_caller_is_left_out_however_it_is_split(written: str, spoken: str, size: int) -> None:
    text = SpokenText()
    heard = [text.feed(written[at : at + size]) for at in range(0, len(written), size)]
    assert "".join(heard) + text.end() == spoken


def test_words_are_not_held_back_without_need() -> None:
    assert SpokenText().feed("One, two") == "One, two"
    assert SpokenText().feed("2 < 3") == "2 < 3"


@pytest.mark.parametrize("piece", ["<", "<think", "<think>", "</think>", "<think x=", "a<"])
def test_a_long_answer_takes_no_longer_for_each_word(piece: str) -> None:
    text, began = SpokenText(), time.process_time()
    for _ in range(20_000):
        text.feed(piece)
    text.end()
    assert time.process_time() - began < 2


@pytest.fixture(scope="module")
def analyzers() -> Analyzers:
    return warm()


@pytest.mark.anyio
async def test_thoughts_are_neither_spoken_nor_shown_nor_kept(analyzers: Analyzers) -> None:
    answer = text_answer("<th", "ink>He sounds", " angry.</thi", "nk>", "Good", " morning.")
    async with asking(analyzers, answer) as talk:
        await talk.conversation.answer("Hello?")
        await until(lambda: "Good morning." in talk.said, "the answer is told", seconds=20)
        assert talk.notes.sentences == ["Good morning."]
        kept = [message["content"] for message in talk.conversation.checkpoint().messages]
        assert kept == ["Hello?", "Good morning."]
