import pytest

from pipeline.local.rule_brain.words import code, number, plain, sentences, shown, total


@pytest.mark.parametrize(
    ("said", "value", "used"),
    [
        ("twelve", 12, 1), ("forty two", 42, 2), ("one hundred and five", 105, 4), ("a hundred", 100, 2),
        ("two thousand twenty six", 2026, 4), ("12", 12, 1), ("3.5", 3.5, 1), ("minus five", -5, 2),
        ("three point one four", 3.14, 4), ("four seven", 4, 1), ("twenty apples", 20, 1),
    ],
)  # fmt: skip
def test_a_number_is_read_in_words_and_digits(said, value, used):
    assert number(said.split()) == (value, used)


@pytest.mark.parametrize("said", ["", "apples", "and five", "a dog", "hundred"])
def test_other_words_are_no_number(said):
    assert number(said.split()) is None


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("four seven one one", "4711"), ("4 7 1 1", "4711"), ("47 11", "4711"), ("4711", "4711"),
        ("four seven double one", "4711"), ("for 711", "4711"), ("oh seven", "07"), ("forty seven eleven", "4711"),
        ("a b one two", "AB12"), ("4 7 1 1 please", "4711"), ("to", ""), ("blue", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_code_is_read_however_it_was_spelled(said, written):
    assert code(said.split()) == written


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("What is twelve plus thirty?", "12 plus 30 is 42"),
        ("What's 12+30", "12 plus 30 is 42"),
        ("how much is 7 times 8 minus 6", "7 times 8 minus 6 is 50"),
        ("Two plus two times three.", "2 plus 2 times 3 is 8"),
        ("What is ten divided by four?", "10 divided by 4 is 2.5"),
        ("what is six multiplied by seven", "6 times 7 is 42"),
        ("what is 100 - 1", "100 minus 1 is 99"),
        ("ten over three", "10 divided by 3 is 3.33"),
        ("five divided by zero", "Nothing can be divided by zero"),
    ],
)
def test_a_sum_is_worked_out(asked, answer):
    assert total(plain(asked).split()) == answer


@pytest.mark.parametrize("said", ["hello", "I have two dogs", "plus", "twelve", "my code is 4 7 1 1"])
def test_what_is_no_sum_has_no_answer(said):
    assert total(plain(said).split()) is None


def test_a_code_spelled_with_full_stops_is_one_sentence():
    assert sentences("The code is 4. 7. 1. 1. What is it?") == ["The code is 4 7 1 1.", "What is it?"]


def test_text_is_made_plain():
    assert plain("What’s  MY name, please?!") == "whats my name please"


@pytest.mark.parametrize(("value", "text"), [(42.0, "42"), (2.5, "2.5"), (1 / 3, "0.33"), (1e7, "10000000")])
def test_a_number_is_shown_without_needless_decimals(value, text):
    assert shown(value) == text
