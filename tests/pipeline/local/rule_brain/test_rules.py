import time
from datetime import UTC, datetime

import pytest

from pipeline.local.rule_brain.facts import LEARNT_TEXTS
from pipeline.local.rule_brain.rules import GREETING, Reply, reply
from pipeline.local.rule_brain.tool_use import ToolRequest, ToolSpec

NOW = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
SYSTEM = {"role": "system", "content": "You are Greenroom, a friendly assistant. Be brief."}
HELLO = {"role": "assistant", "content": "Hello, how can I help you today?"}
CLOCK = ToolSpec("current_time", {"timezone": {"type": "string"}})
END = ToolSpec("end_call")


def talk(*said: str, tools: list[ToolSpec] | None = None) -> list[dict]:
    """The messages of a call in which the caller said these things."""
    messages = [SYSTEM, HELLO]
    for text in said:
        messages.append({"role": "user", "content": text})
        messages.append({"role": "assistant", "content": reply(messages, tools or [], NOW).text})
    return messages


def answer(*said: str, tools: list[ToolSpec] | None = None) -> str:
    return talk(*said, tools=tools)[-1]["content"]


def after_tool(asked: str, name: str, result: str, *before: dict) -> str:
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    messages = [SYSTEM, *before, {"role": "user", "content": asked}, {"role": "assistant", "tool_calls": [call]}]
    return reply([*messages, {"role": "tool", "tool_call_id": "c1", "content": result}], [CLOCK, END], NOW).text


@pytest.mark.parametrize("told", ["My name is Ada.", "I'm Ada.", "call me ada", "Hello, my name is ADA!"])
@pytest.mark.parametrize("asked", ["What's my name?", "whats my name", "Do you know my name?", "who am i"])
def test_a_name_is_remembered(told, asked):
    assert answer(told, "It was the best of times.", asked).lower() == "your name is ada."


@pytest.mark.parametrize(
    ("told", "asked", "wanted"),
    [
        ("My order number is 4 7 1 1.", "What is my order number?", "4711"),
        ("my order number is four seven one one", "can you tell me my order number please", "4711"),
        ("My order number is for 711.", "What was my order number again?", "4711"),
        ("The code is 4711", "what's the code", "4711"),
        ("Remember the number 42.", "What number did I tell you?", "42"),
        ("Remember the number 42.", "What is the number?", "42"),
        ("My favorite color is blue.", "What's my favourite color?", "blue"),
        ("Remember that the meeting is at noon.", "When is the meeting?", "at noon"),
        ("I live in Rome.", "Where do I live?", "Rome"),
        ("I'm from London.", "where am I from", "London"),
        ("Remember that my train leaves at nine.", "When does my train leave?", "nine"),
    ],
)
def test_what_was_told_is_recalled(told, asked, wanted):
    assert wanted in answer(told, asked)


@pytest.mark.parametrize("asked", ["What did I tell you?", "what do you know about me", "What have I told you?"])
def test_everything_told_is_recalled_at_once(asked):
    said = answer("My name is Ada. My code is 4711.", "Add milk to my list.", "I live in Rome.", asked)
    assert all(part in said for part in ("Ada", "4711", "milk", "Rome"))


@pytest.mark.parametrize("asked", ["What is my name?", "What is my order number?", "What did I tell you?"])
def test_what_was_never_told_is_not_made_up(asked):
    assert "haven't told me" in answer(asked)


def test_one_number_is_not_taken_for_another():
    assert "haven't told me" in answer("My order number is 4711.", "What is my account number?")


def test_a_list_is_added_to_read_and_shortened():
    call = talk("Add milk and eggs to my list.", "what is on my list", "remove milk", "What's on my shopping list?")
    said = [message["content"] for message in call if message["role"] == "assistant"][1:]
    assert "milk and eggs" in said[0]
    assert said[1] == "Your list has milk and eggs."
    assert "removed milk" in said[2]
    assert said[3] == "Your list has eggs."
    assert answer("What's on my list?") == "Your list is empty."


@pytest.mark.parametrize("asked", ["What is twelve plus thirty?", "whats 12 plus 30", "Twelve plus thirty."])
def test_a_sum_is_answered(asked):
    assert answer(asked) == "12 plus 30 is 42."


@pytest.mark.parametrize(
    "asked", ["Say that again.", "Can you repeat that?", "repeat please", "What did you say?", "Pardon?"]
)
def test_the_last_words_are_repeated_on_request(asked):
    assert answer("What is twelve plus thirty?", asked) == "12 plus 30 is 42."
    assert answer(asked) == HELLO["content"]


@pytest.mark.parametrize("asked", ["What time is it?", "whats the time", "Can you tell me the time, please?"])
def test_the_time_is_told_without_a_tool(asked):
    assert answer(asked) == "It is 2:05 PM."


def test_the_date_is_told_without_a_tool():
    assert answer("What's the date today?") == "Today is Monday, November 23."


def test_the_time_is_asked_of_the_tool_that_knows_it():
    asked = {"role": "user", "content": "What time is it?"}
    assert reply([asked], [CLOCK], NOW) == Reply(call=ToolRequest("current_time"))
    assert reply([asked], [ToolSpec("current_time")], NOW) == Reply(call=ToolRequest("current_time"))


def test_the_time_of_a_place_is_asked_for_by_its_zone():
    asked = {"role": "user", "content": "What time is it in New York?"}
    assert reply([asked], [CLOCK], NOW).call == ToolRequest("current_time", {"timezone": "America/New_York"})


@pytest.mark.parametrize(
    ("asked", "result", "said"),
    [
        ("What time is it?", '"Monday, 23 November 2026, 14:05"', "It is 14:05."),
        ("What day is it?", '"Monday, 23 November 2026, 14:05"', "It is Monday, 23 November 2026."),
        ("What time is it?", '{"time": "14:05"}', "It is 14:05."),
        ("What time is it?", '"There is no time zone called Moon."', "There is no time zone called Moon."),
        ("What time is it?", "IN_PROGRESS", ""),
    ],
)
def test_the_tools_time_is_spoken(asked, result, said):
    assert after_tool(asked, "current_time", result) == said


def test_any_tools_result_is_spoken():
    assert after_tool("What's the weather in Rome?", "get_weather", '"It is sunny."') == "It is sunny."


@pytest.mark.parametrize(
    "said",
    [
        "Goodbye.",
        "Bye!",
        "Good-by.",
        "Okay, thank you, bye bye.",
        "see you later",
        "Good bye",
        "Bye, Sam.",
        "That's all for today, thanks.",
        "You can hang up now, please.",
        "Goodbye, have a nice day!",
    ],
)
def test_a_goodbye_is_returned_and_ends_the_call_where_a_tool_can(said):
    assert answer("My name is Ada.", said) == "Goodbye, Ada!"
    assert reply([{"role": "user", "content": said}], [END], NOW) == Reply(call=ToolRequest("end_call"))


@pytest.mark.parametrize(
    "said", ["For good bye for evil.", "We were all going by the see you other way.", "The end call was late."]
)
def test_words_in_the_middle_of_a_sentence_end_no_call(said):
    assert reply([{"role": "user", "content": said}], [END], NOW).call is None


def test_the_goodbye_follows_the_tool_that_ends_the_call():
    told = {"role": "user", "content": "My name is Ada."}
    assert after_tool("Goodbye.", "end_call", '"The call ends after your next words."', told) == "Goodbye, Ada!"


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("Hello.", "How can I help"), ("hi there", "How can I help"), ("How are you?", "I'm well"),
        ("Thank you very much.", "welcome"), ("Who are you?", "Greenroom, a friendly assistant"),
        ("whats your name", "Greenroom"), ("What can you do?", "remember"), ("Yes.", "else"),
    ],
)  # fmt: skip
def test_courtesies_are_returned(said, part):
    assert part in answer(said)


@pytest.mark.parametrize(
    "said", ["It was the best of times.", "Ever tried, ever failed.", "What is the capital of France?"]
)
def test_what_no_rule_knows_is_said_back(said):
    assert answer(said).startswith(f"I heard: {said[:-1]}.")
    assert answer(said).endswith("?")


def test_each_of_several_sentences_is_answered():
    said = answer("My name is Bob. What is two times three? And what's my name?")
    assert said == "Nice to meet you, Bob. 2 times 3 is 6. Your name is Bob."


def test_a_tool_named_in_a_sentence_is_called():
    weather = ToolSpec("get_weather", {"city": {"type": "string"}}, ["city"])
    asked = {"role": "user", "content": "What's the weather in Paris?"}
    assert reply([asked], [weather, CLOCK], NOW).call == ToolRequest("get_weather", {"city": "Paris"})


def test_restored_messages_are_a_restored_memory():
    call = talk("My name is Ada.", "Add milk to my list.")
    restored = [dict(message) for message in call]
    asked = {"role": "user", "content": [{"type": "text", "text": "What's on my list?"}]}
    assert "milk" in reply([*restored, asked], [], NOW).text


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], GREETING), ([SYSTEM], GREETING), ([SYSTEM, HELLO], ""),
        ([{"role": "user", "content": ""}], "Sorry, I didn't hear that."),
        ([{"role": "user", "content": None}], "Sorry, I didn't hear that."),
    ],
)  # fmt: skip
def test_a_call_without_words_yet_is_answered_sensibly(messages, said):
    assert reply(messages, [], NOW).text == said


def test_a_prompt_outside_the_messages_counts():
    asked = {"role": "user", "content": "Who are you?"}
    assert reply([asked], [], NOW, "You are Max from sales.").text == "I'm Max from sales."


SHORT_SENTENCES = "a. " * 1333  # 4,000 characters: as much as one typed message may have


def seconds_for(messages: list[dict]) -> float:
    began = time.perf_counter()
    reply(messages, [], NOW)
    return time.perf_counter() - began


def test_three_messages_of_4000_characters_of_short_sentences_are_answered_in_well_under_a_second() -> None:
    began = time.perf_counter()
    assert answer(*[SHORT_SENTENCES] * 3).startswith("I heard: a. a.")
    assert time.perf_counter() - began < 0.5


def test_the_time_of_an_answer_grows_with_the_messages_and_not_with_their_square() -> None:
    def told(count: int) -> list[dict]:
        return [{"role": "user", "content": f"We go to room {n} of {count}. " * 100} for n in range(count)]

    assert seconds_for(told(80)) < 10 * seconds_for(told(20)) + 0.05


@pytest.mark.parametrize("words", ["minus ", "1+", "add to ", "what ", "what my is ", "take ", "remember that "])
def test_no_message_of_4000_characters_holds_up_the_loop(words: str) -> None:
    assert seconds_for([{"role": "user", "content": words * (4000 // len(words))}]) < 0.2


def test_a_caller_who_types_without_end_has_no_turn_work_out_all_its_messages_again() -> None:
    told = [{"role": "user", "content": f"We go to room {n} of it. " * 100} for n in range(LEARNT_TEXTS + 100)]
    first = seconds_for(told)
    assert seconds_for([*told, {"role": "user", "content": "Hello."}]) < first / 3
