"""What a new agent begins with: every tool call has its result, none runs twice, and what is owed is answered."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from pipeline.resume.checkpoint import Checkpoint, Entry
from pipeline.resume.restore import TRIES, UNKNOWN, Restored, restored, settled, tries

REPEATABLE = {"look"}
LOST = json.dumps(UNKNOWN)


def user(words: str) -> dict[str, Any]:
    return {"role": "user", "content": words}


def agent(words: str) -> dict[str, Any]:
    return {"role": "assistant", "content": words}


def ask(tool: str, number: int = 1) -> dict[str, Any]:
    call = {"id": f"call_{number}", "function": {"name": tool, "arguments": '{"n": 1}'}, "type": "function"}
    return {"role": "assistant", "tool_calls": [call]}


def told(result: str, number: int = 1) -> dict[str, Any]:
    return {"role": "tool", "content": result, "tool_call_id": f"call_{number}"}


def entry(tool: str, number: int = 1, *, done: bool = False, result: Any = None) -> Entry:
    return Entry(tool_call_id=f"call_{number}", name=tool, arguments={"n": 1}, done=done, result=result)


def after(*messages: dict[str, Any], **more: Any) -> Restored:
    return restored(Checkpoint(messages=messages, **more), REPEATABLE)


HELLO, ASK, ANSWER = agent("Hello."), user("How much?"), agent("Five.")


@pytest.mark.parametrize(
    ("messages", "more", "unanswered"),
    [
        ((), {}, False),
        ((HELLO,), {}, False),
        ((HELLO, ASK), {}, True),
        ((HELLO, ASK, ANSWER), {}, False),
        ((HELLO,), {"pending": "How"}, True),
        ((), {"pending": "How"}, True),
        ((HELLO,), {"pending": "  "}, False),
        ((HELLO, ASK, ANSWER), {"pending": "And"}, True),
        ((HELLO, ASK), {"speaking": "It is"}, True),
        ((HELLO, ASK, agent("Let me see.")), {"speaking": "It is"}, True),
        ((HELLO, ASK, agent("Let me see.")), {"journal": (entry("look"),)}, True),
        ((), {"speaking": "Hel"}, False),  # the greeting was cut off: nothing to answer, it is said again
        ((HELLO, ASK, ask("book"), told('"done"')), {}, True),
        ((HELLO, ASK, ask("book"), told("CANCELLED")), {}, True),
        ((HELLO, ASK, ask("book"), told('"done"'), ANSWER), {}, False),
        ((HELLO, ASK, ask("book"), told("CANCELLED"), user("No."), agent("All right.")), {}, False),
        ((HELLO, ASK, ANSWER, {"role": "developer", "content": "Be brief."}), {}, False),
    ],
)
def test_what_nobody_answered_is_unanswered(messages: Any, more: Any, unanswered: bool) -> None:
    made = after(*messages, **more)
    assert made.unanswered is unanswered
    assert made.heard == more.get("speaking", "")


@pytest.mark.parametrize(
    ("messages", "more", "asked"),
    [
        ((HELLO,), {}, ""),
        ((HELLO, ASK), {}, "How much?"),
        ((HELLO, ASK), {"speaking": "It is"}, "How much?"),
        ((HELLO, ASK, ANSWER), {}, ""),
        ((HELLO, ASK, ask("book"), told('"done"')), {}, ""),
        ((HELLO, ASK, ANSWER), {"pending": " And "}, "And"),
        ((HELLO, ASK), {"pending": "And"}, "And"),
        ((HELLO, ASK, {"role": "developer", "content": "Be brief."}), {}, "How much?"),
        ((HELLO, {"role": "user", "content": [{"type": "image_url"}]}), {}, ""),
    ],
)
def test_the_callers_last_words_are_those_that_nothing_was_said_after(messages: Any, more: Any, asked: str) -> None:
    assert after(*messages, **more).asked == asked


def test_a_conversation_that_is_whole_comes_back_as_it_was() -> None:
    whole = (HELLO, ASK, ask("book"), told('"done"'), ANSWER, user("And?"), agent("And so on."))
    assert after(*whole).messages == whole


def test_last_words_follow_those_before_them() -> None:
    assert after(HELLO, ASK, pending="And when? ").messages == (HELLO, user("How much? And when?"))
    assert after(HELLO, ASK, ANSWER, pending="And when?").messages == (HELLO, ASK, ANSWER, user("And when?"))


def test_the_checkpoint_is_left_as_it_is() -> None:
    checkpoint = Checkpoint(messages=(dict(ASK),), pending="And when?")
    restored(checkpoint, REPEATABLE)
    assert checkpoint.messages == (ASK,)


@pytest.mark.parametrize("written", [(ask("book"), told("IN_PROGRESS")), (ask("book"),), ()], ids=len)
@pytest.mark.parametrize(
    ("journal", "result"),
    [
        ((entry("book", done=True, result={"table": 7}),), '{"table": 7}'),
        ((entry("book", done=True, result="ü"),), '"ü"'),
        ((entry("book", done=True, result=None),), "COMPLETED"),
        ((entry("book"),), LOST),
    ],
)
def test_a_call_left_hanging_gets_its_result(written: Any, journal: Any, result: str) -> None:
    made = after(HELLO, ASK, *written, journal=journal)
    assert made.messages == (HELLO, ASK, ask("book"), told(result))
    assert made.unanswered


def test_a_call_that_no_journal_knows_may_have_run() -> None:
    assert after(ASK, ask("book"), told("IN_PROGRESS")).messages == (ASK, ask("book"), told(LOST))


@pytest.mark.parametrize("written", [(ask("look"), told("IN_PROGRESS")), (ask("look"),), ()], ids=len)
@pytest.mark.parametrize("journal", [(entry("look"),), ()], ids=len)
def test_a_repeatable_call_left_hanging_is_taken_back(written: Any, journal: Any) -> None:
    made = after(HELLO, ASK, *written, journal=journal)
    assert made.messages == (HELLO, ASK)
    assert made.unanswered


def test_a_repeatable_call_that_is_done_keeps_its_result() -> None:
    made = after(ASK, ask("look"), told("IN_PROGRESS"), journal=(entry("look", done=True, result=[1]),))
    assert made.messages == (ASK, ask("look"), told("[1]"))


def test_a_result_in_the_context_counts_more_than_the_journal() -> None:
    made = after(ASK, ask("book"), told('"done"'), journal=(entry("book"),))
    assert made.messages == (ASK, ask("book"), told('"done"'))


def test_what_was_said_before_a_result_came_stands_before_it() -> None:
    made = after(ASK, ask("book"), told("IN_PROGRESS"), agent("One moment."), journal=(entry("book", done=True),))
    assert made.messages == (ASK, agent("One moment."), ask("book"), told("COMPLETED"))
    assert made.unanswered


def test_a_call_that_the_caller_spoke_over_is_not_what_is_owed() -> None:
    made = after(ASK, ask("book"), told("IN_PROGRESS"), user("Stop."), agent("All right."))
    assert made.messages == (ASK, ask("book"), told(LOST), user("Stop."), agent("All right."))
    assert not made.unanswered


def test_calls_made_at_once_are_repaired_one_by_one() -> None:
    both = {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [*ask("book")["tool_calls"], *ask("look", 2)["tool_calls"]],
    }
    made = after(ASK, both, told("IN_PROGRESS"), told("IN_PROGRESS", 2), journal=(entry("book", done=True, result=1),))
    assert made.messages == (ASK, agent("I look."), ask("book"), told("1"))


def test_a_result_without_a_call_is_left_out() -> None:
    assert after(ASK, told('"done"', 9), ANSWER).messages == (ASK, ANSWER)


def test_leaving_is_kept() -> None:
    assert after(user("Bye."), agent("Goodbye."), leaving=True).leaving
    assert not after(user("Bye."), agent("Goodbye.")).leaving


def test_leaving_is_over_once_the_caller_has_said_something_else() -> None:
    assert not after(user("Bye."), agent("Goodbye."), ASK, leaving=True).leaving
    assert not after(user("Bye."), agent("Goodbye."), leaving=True, pending="Wait, one more question.").leaving


def test_settled_calls_are_those_with_a_result() -> None:
    messages = [
        ask("book"),
        told("IN_PROGRESS"),
        ask("book", 2),
        told('"done"', 2),
        ask("book", 3),
        told("CANCELLED", 3),
    ]
    assert settled(messages) == {"call_2", "call_3"}


def a_conversation(dice: random.Random) -> Checkpoint:
    """Any conversation that Pipecat could have written, cut off anywhere, with any journal."""
    messages: list[dict[str, Any]] = [HELLO] if dice.random() < 0.5 else []
    journal: list[Entry] = []
    numbers = itertools.count()
    for _ in range(dice.randrange(5)):
        messages.append(user(dice.choice(["How much?", "Book it.", "And?"])))
        for _ in range(dice.randrange(4)):
            number, tool = next(numbers), dice.choice(["look", "book"])
            written = [
                ask(tool, number),
                told(dice.choice(["IN_PROGRESS", '"done"', "CANCELLED", "COMPLETED"]), number),
            ]
            messages += written[: dice.randrange(3)]
            if dice.random() < 0.5:
                done = dice.random() < 0.5
                journal.append(
                    entry(tool, number, done=done, result=dice.choice([None, 0, "x", {"a": 1}]) if done else None)
                )
            if dice.random() < 0.2:
                messages.append(agent("One moment."))
        if dice.random() < 0.7:
            messages.append(agent("So it is."))
    return Checkpoint(
        messages=tuple(messages),
        pending=dice.choice(["", "", "And then?"]),
        speaking=dice.choice(["", "", "It"]),
        journal=tuple(journal),
    )


@pytest.mark.parametrize("seed", range(300))
def test_whatever_was_cut_off_comes_back_sound(seed: int) -> None:
    checkpoint = a_conversation(random.Random(seed))
    made = restored(Checkpoint.from_json(checkpoint.to_json()), REPEATABLE)
    messages = made.messages
    for at, message in enumerate(messages):
        calls = message.get("tool_calls") or []
        if calls:
            (call,) = calls
            assert messages[at + 1]["tool_call_id"] == call["id"], "a call's result is right behind it"
        if message["role"] == "tool":
            assert messages[at - 1].get("tool_calls"), "a result has its call"
            assert message["content"] != "IN_PROGRESS"
    kept = [call["id"] for message in messages for call in message.get("tool_calls") or []]
    assert len(kept) == len(set(kept))
    results = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    known = settled(checkpoint.messages)
    for noted in checkpoint.journal:
        if noted.done or noted.name not in REPEATABLE:
            assert noted.tool_call_id in results, "nothing that may have run is asked for again"
        if noted.done and noted.tool_call_id not in known:
            assert results[noted.tool_call_id] == (json.dumps(noted.result) if noted.result else "COMPLETED")
    words = [message["content"] for message in messages if message["role"] == "user"]
    said = [message["content"] for message in checkpoint.messages if message["role"] == "user"]
    assert " ".join(words) == " ".join([*said, *([checkpoint.pending] if checkpoint.pending else [])])
    if messages and messages[-1]["role"] in ("user", "tool"):
        assert made.unanswered
    again = restored(Checkpoint(messages=messages), REPEATABLE)
    assert again.messages == messages, "what is sound is left alone"


FATAL = user("a. a. a.")


@pytest.mark.parametrize(("tried", "given"), [(0, True), (1, True), (TRIES, False), (TRIES + 1, False)])
def test_words_over_which_two_agents_were_lost_are_not_given_to_a_third(tried: int, given: bool) -> None:
    begins = after(HELLO, ASK, ANSWER, FATAL, tried=tried)
    assert begins.unanswered is given
    assert begins.left_out is not given
    assert begins.messages == ((HELLO, ASK, ANSWER, FATAL) if given else (HELLO, ASK, ANSWER))
    assert begins.asked == "a. a. a."  # the transcript has them all the same


def test_all_that_was_unanswered_is_left_out_with_what_it_led_to() -> None:
    assert after(HELLO, ASK, FATAL, tried=TRIES).messages == (HELLO,)
    assert after(HELLO, FATAL, ask("look"), told("1"), tried=TRIES).messages == (HELLO,)
    assert after(HELLO, pending="a. a.", tried=TRIES).messages == (HELLO,)


def test_an_answer_of_which_something_was_heard_is_said_again() -> None:
    assert after(HELLO, FATAL, speaking="I heard", tried=TRIES).unanswered


def test_each_agent_that_takes_up_the_same_words_counts_itself() -> None:
    first = tries(Restored(), (HELLO, FATAL), "")
    second = tries(after(HELLO, FATAL, tried=first), (HELLO, FATAL), "")
    assert (first, second) == (1, 2)
    assert after(HELLO, FATAL, tried=first).unanswered
    assert not after(HELLO, FATAL, tried=second).unanswered


def test_new_words_and_an_answer_begin_to_count_anew() -> None:
    begins = after(HELLO, FATAL, tried=1)
    assert tries(begins, (HELLO, FATAL, ANSWER), "") == 0
    assert tries(begins, (HELLO, FATAL, ANSWER, ASK), "") == 1
    assert tries(begins, (HELLO, FATAL), "And") == 1
