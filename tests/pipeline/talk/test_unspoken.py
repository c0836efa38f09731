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
    ("<think>So:<think>deeper</think>Done.", "Done."),
    ("Sure.</tool_call> Done.", "Sure. Done."),
    ('Sure.[TOOL_CALLS][{"name": "end_call", "arguments": {}}]', "Sure."),
    ("[TOOL_CALLS]end_call{}[/TOOL_CALLS]Bye. [TOO", "Bye. [TOO"),
    ('Sure.<|tool_call|>{"name": "end_call"}<|/tool_call|> Bye.', "Sure. Bye."),
    ("Sure.<|tool_call>call:end_call{}<tool_call|>", "Sure.<|tool_call>call:end_call{}<tool_call|>"),
    ("Sure.<\uff5ctool\u2581calls\u2581begin\uff5c>x<\uff5ctool\u2581calls\u2581end\uff5c>", "Sure."),
    ("<|python_tag|>end_call.call()<|eom_id|>", ""),
    ("Hello.<|im_end|>", "Hello."),
    ("<|channel|>analysis<|message|>He asks.<|end|><|start|>assistant<|channel|>final<|message|>Hi.", "Hi."),
    ("a <| b |> c", "a  c"),
]


@pytest.mark.parametrize(("written", "spoken"), CASES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_what_is_not_for_the_caller_is_left_out_however_it_is_split(written: str, spoken: str, size: int) -> None:
    text = SpokenText()
    heard = [text.feed(written[at : at + size]) for at in range(0, len(written), size)]
    assert "".join(heard) + text.end() == spoken


def read(text: SpokenText, written: str, size: int) -> str:
    """What stands in the end of what the caller was to hear."""
    heard = ""
    for at in range(0, len(written), size):
        given = text.feed(written[at : at + size])
        heard = given if text.retracts else heard + given
    return heard + text.end()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("begins_with_thought", [True, False])
def test_what_comes_before_the_end_of_a_thought_was_a_thought(size: int, begins_with_thought: bool) -> None:
    text = SpokenText(begins_with_thought=begins_with_thought)
    assert read(text, "Okay, he asks. <b>So</b> </think>Good morning. 2 < 3.", size) == "Good morning. 2 < 3."


def test_a_thought_that_never_ends_is_no_answer() -> None:
    text = SpokenText(begins_with_thought=True)
    assert text.feed("Okay, he asks.") + text.end() == ""


def test_words_are_not_held_back_without_need() -> None:
    assert SpokenText().feed("One, two") == "One, two"
    assert SpokenText().feed("2 < 3") == "2 < 3"


@pytest.mark.parametrize("piece", ["<", "<think", "<think>", "</think>", "<think x=", "a<", "<|", "<|a|>", "[TOOL"])
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


@pytest.mark.anyio
async def test_a_thought_that_only_ends_is_let_go_of_and_the_next_one_waited_for(analyzers: Analyzers) -> None:
    first = text_answer("He greets me. ", "I greet him. ", "Now. ", "</think>", "Good", " morning.")
    second = text_answer("He says more.", "</think>", "**Fine", "**.")
    async with asking(analyzers, first, second, plays=False) as talk:
        await talk.conversation.answer("Hello?")
        await until(lambda: "Good morning." in talk.notes.sentences, "the answer begins", seconds=20)
        talk.sink.instant = True
        talk.sink.finish()
        await until(lambda: "Good morning." in talk.said, "the answer is told", seconds=20)
        kept = [message["content"] for message in talk.conversation.checkpoint().messages]
        assert (kept[0], kept[-1]) == ("Hello?", "Good morning.")
        assert "Now." not in talk.said
        shown = len(talk.notes.sentences)
        await talk.conversation.answer("And you?")
        await until(lambda: "Fine." in talk.said, "the next answer is told", seconds=20)
        assert talk.notes.sentences[shown:] == ["Fine."]


@pytest.mark.anyio
async def test_the_page_and_the_conversation_have_the_text_as_it_is_spoken(analyzers: Analyzers) -> None:
    answer = text_answer("# Two", " things\n", "- **bre", "ad** and\n", "* [milk](https://a.example", "/m).\n")
    async with asking(analyzers, answer) as talk:
        await talk.conversation.answer("What do I need?")
        await until(lambda: "milk" in talk.said, "the answer is told", seconds=20)
        shown = " ".join(talk.notes.sentences)
        assert shown.split() == ["Two", "things", "bread", "and", "milk."]
        assert talk.said.split() == shown.split()
        assert talk.conversation.checkpoint().messages[-1]["content"].split() == shown.split()
