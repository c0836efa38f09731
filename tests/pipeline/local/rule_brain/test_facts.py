import pytest

from pipeline.local.rule_brain.facts import about_you, is_question, learn, recalled


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("My name is Ada.", "Ada"), ("my name is ada", "Ada"), ("I'm Ada Lovelace and I need help.", "Ada Lovelace"),
        ("Hello, I'm Ada.", "Ada"), ("Call me Bob", "Bob"), ("This is Ada speaking.", "Ada"), ("I am Bob", "Bob"),
        ("My name's Grace, what time is it?", "Grace"), ("My name is A D A", "Ada"),
        ("I am fine", ""), ("I'm from London", ""), ("I'm calling about my order", ""), ("I'm twenty", ""),
        ("This is the best of times", ""), ("What's my name?", ""), ("I'm sorry", ""),
    ],
)  # fmt: skip
def test_a_name_is_known_when_it_is_told(said, name):
    assert recalled([said]).name == name


@pytest.mark.parametrize(
    ("said", "key", "value"),
    [
        ("My order number is 4 7 1 1.", "order number", "4711"), ("the code is four seven one one", "code", "4711"),
        ("My order number is for 711.", "order number", "4711"), ("Remember the number 42.", "number", "42"),
        ("remember the number forty two", "number", "42"), ("Remember my pin is 1234", "pin", "1234"),
        ("My favourite colour is blue.", "favourite colour", "blue"), ("My city is Paris.", "city", "Paris"),
        ("Remember that the meeting is at noon", "meeting", "at noon"),
        ("Can you remember that my code is 12 34?", "code", "1234"),
    ],
)  # fmt: skip
def test_a_fact_is_kept_by_its_name(said, key, value):
    assert recalled([said]).facts == {key: value}


def test_a_fact_told_again_is_the_newer_one():
    assert recalled(["My code is 1 2.", "My colour is blue.", "No, my code is 3 4."]).facts["colour"] == "blue"
    assert recalled(["My code is 1 2.", "My colour is blue.", "My code is 3 4."]).facts == {
        "colour": "blue",
        "code": "34",
    }


@pytest.mark.parametrize(
    ("told", "items"),
    [
        (["Add milk and eggs to my list."], ["milk", "eggs"]),
        (["add milk, eggs and some bread to the shopping list"], ["milk", "eggs", "bread"]),
        (["Put milk on my list.", "Add milk to my list."], ["milk"]),
        (["Add milk and eggs to my list", "Remove milk."], ["eggs"]),
        (["Add milk and eggs to my list", "take the eggs off my list"], ["milk"]),
        (["Add milk to my list. Clear my list."], []),
        (["Remove milk from my list"], []),
    ],
)
def test_a_list_is_kept(told, items):
    assert recalled(told).items == items


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("I live in Rome.", "you live in Rome"), ("Remember that I have a dog", "you have a dog"),
        ("Remember that trains leave at nine", "trains leave at nine"),
    ],
)  # fmt: skip
def test_anything_else_told_is_kept_as_it_was_said(said, note):
    assert recalled([said]).notes == [note]


@pytest.mark.parametrize(
    "said", ["", "What is my name?", "I need help with my order.", "I'd like a table", "I am fine.", "Hm."]
)
def test_what_tells_nothing_is_not_kept(said):
    assert learn(said) is None


@pytest.mark.parametrize(
    ("said", "asks"), [("whats my name", True), ("my name is ada", False), ("can you hear me", True)]
)
def test_a_question_is_told_from_a_statement(said, asks):
    assert is_question(said) is asks


def test_what_callers_say_of_themselves_is_turned_round():
    assert about_you("im at my desk with maria", "I'm at my desk with Maria") == "you are at your desk with Maria"
