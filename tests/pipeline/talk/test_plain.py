import time

import pytest

from pipeline.talk.plain import PlainText

CASES = [
    ("Hello there.", "Hello there."),
    ("That is **very** important.", "That is very important."),
    (
        "**Bold** and *soft* and ***both*** and __bold__ and _soft_ and ~~gone~~.",
        "Bold and soft and both and bold and soft and gone.",
    ),
    ("un**believ**able", "unbelievable"),
    ("Say `ls -l`, then ``x``.", "Say ls -l, then x."),
    ("# Title\nText.", "Title\nText."),
    ("Two things:\n- one\n* two\n+ three\n  - four", "Two things:\none\ntwo\nthree\nfour"),
    ("1. First.\n2. Second.", "1. First.\n2. Second."),
    ("> Quoted\n> **twice**", "Quoted\ntwice"),
    ("Above.\n---\nBelow.\n* * *\n", "Above.\n\nBelow.\n\n"),
    ('See [the **page**](https://example.com/a_(b)?c=1 "title").', "See the page."),
    ("![a cat](cat.png) sleeps.", "a cat sleeps."),
    ("It is so [1], (2) and [sic].", "It is so [1], (2) and [sic]."),
    ("Look:\n```python\nprint(1)\n```\nDone.", "Look:\nprint(1)\nDone."),
    ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a, b\n\n1, 2"),
    ("either | or", "either | or"),
    ("| a! | b ", "a!, b "),
    ("Hello!", "Hello!"),
    ("2 * 3 = 6, 2*3*4, 2**3 and 5 *3", "2 * 3 = 6, 2*3*4, 2**3 and 5 *3"),
    ("It costs *3 euros*.", "It costs 3 euros."),
    ("snake_case_name and __init__.py", "snake_case_name and init.py"),
    ("Your name is ____.", "Your name is ____."),
    ("-5 degrees, #1 and +43 1 234", "-5 degrees, #1 and +43 1 234"),
    ("~5 minutes, a 5* hotel", "~5 minutes, a 5* hotel"),
    (r"\*not soft\* and C:\temp", r"*not soft* and C:\temp"),
    ("10:05:30, 10^6, 3.14, 50% & 7 < 8 > 6", "10:05:30, 10^6, 3.14, 50% & 7 < 8 > 6"),
    ("[", "["),
    ("**", "**"),
    ("- ", ""),
    ("", ""),
]


@pytest.mark.parametrize(("written", "plain"), CASES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_marks_go_and_words_and_numbers_stay_however_the_text_is_split(written: str, plain: str, size: int) -> None:
    text = PlainText()
    given = [text.feed(written[at : at + size]) for at in range(0, len(written), size)]
    assert "".join(given) + text.end() == plain


def test_words_are_not_held_back_without_need() -> None:
    text = PlainText()
    assert text.feed("One, two") == "One, two"
    assert text.feed(" [three](") == " "
    assert text.feed("x) four") == "three four"


@pytest.mark.parametrize("piece", ["*", "_", "[", "](", "`", "- ", "|", "\\", "# ", "\n", "> ", "[a](b", "~~~"])
def test_a_long_answer_takes_no_longer_for_each_word(piece: str) -> None:
    text, began = PlainText(), time.process_time()
    for _ in range(20_000):
        text.feed(piece)
    text.end()
    assert time.process_time() - began < 2
