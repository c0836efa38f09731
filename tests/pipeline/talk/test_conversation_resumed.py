"""A conversation whose agent was lost, taken up by another: what it remembers, says, answers and never does twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import TranscriptionFrame

from pipeline.agents.tools import repeatable
from pipeline.resume.checkpoint import Checkpoint
from pipeline.resume.restore import Restored, restored
from pipeline.talk.build import Analyzers
from tests.pipeline.providers.openai_server import chunk, text_answer
from tests.pipeline.stage import until
from tests.pipeline.talks import GREETING, asking, talking, warm

pytestmark = pytest.mark.anyio

SORRY = "Sorry, I dropped out for a moment."
NAMED = {"role": "user", "content": "My name is Ada."}
GREETED = {"role": "assistant", "content": "Nice to meet you, Ada."}
ASKED = {"role": "user", "content": "What is my name?"}


@pytest.fixture(scope="module")
def analyzers() -> Analyzers:
    return warm()


def stored(checkpoint: Checkpoint, *repeatables: str) -> Restored:
    """What another agent makes of a checkpoint that has been through the store."""
    return restored(Checkpoint.from_json(checkpoint.to_json()), set(repeatables))


async def test_an_agent_lost_in_mid_answer_is_replaced_by_one_that_remembers_and_answers(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        talk.sink.instant = True
        await talk.conversation.answer("My name is Ada.")
        await until(lambda: talk.notes.agent, "the first answer is told", seconds=20)
        talk.sink.instant, draining = False, talk.sink.draining
        await talk.conversation.answer("What is my name?")
        await until(lambda: talk.sink.draining > draining, "the answer is under way", seconds=20)
        talk.sink.unplayed = 0.5
        checkpoint = talk.conversation.checkpoint()
    assert checkpoint.messages == (NAMED, GREETED, ASKED)
    assert checkpoint.speaking in ("Your", "Your name", "Your name is")
    lost = stored(checkpoint)
    assert (lost.unanswered, lost.heard) == (True, checkpoint.speaking)
    async with talking(analyzers, restored=lost) as talk:
        await talk.conversation.resume(SORRY, unanswered=lost.unanswered)
        await until(lambda: len(talk.notes.agent) == 2, "the answer is told", seconds=20)
        assert talk.notes.agent == [(SORRY, False), ("Your name is Ada.", False)]
        assert talk.notes.sentences == [SORRY, "Your name is Ada."]
        answered = {"role": "assistant", "content": "Your name is Ada."}
        assert talk.conversation.checkpoint() == Checkpoint(messages=(NAMED, GREETED, ASKED, answered))
        await talk.conversation.answer("And what is my name?")
        await until(lambda: len(talk.notes.agent) == 3, "it goes on", seconds=20)
        assert "Ada" in talk.notes.agent[2][0]


async def test_an_agent_that_owes_nothing_says_its_sentence_and_listens(analyzers: Analyzers) -> None:
    begins = Restored(messages=(NAMED, GREETED))
    async with talking(analyzers, restored=begins) as talk:
        await talk.conversation.resume(SORRY, unanswered=False)
        await until(lambda: talk.notes.states[-1:] == ["listening"], "it is heard", seconds=20)
        assert talk.notes.agent == [(SORRY, False)]
        assert talk.conversation.checkpoint() == Checkpoint(messages=(NAMED, GREETED))


async def test_an_agent_without_a_sentence_answers_at_once(analyzers: Analyzers) -> None:
    async with talking(analyzers, restored=Restored(messages=(NAMED,))) as talk:
        await talk.conversation.resume("", unanswered=True)
        await until(lambda: talk.notes.agent, "the answer is told", seconds=20)
        assert talk.notes.agent == [(GREETED["content"], False)]


async def test_a_greeting_that_was_cut_off_is_said_again(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await talk.conversation.greet()
        await until(lambda: talk.sink.draining, "the greeting is under way", seconds=20)
        lost = stored(talk.conversation.checkpoint())
    assert lost == Restored(heard=lost.heard)
    assert GREETING.startswith(lost.heard)
    assert lost.heard
    async with talking(analyzers, restored=lost) as talk:
        await talk.conversation.resume(SORRY, unanswered=False)
        await until(lambda: len(talk.notes.agent) == 2, "both are told", seconds=20)
        assert talk.notes.agent == [(SORRY, False), (GREETING, False)]


async def test_a_goodbye_that_had_been_heard_ends_the_call_without_a_word(analyzers: Analyzers) -> None:
    begins = Restored(messages=(NAMED, GREETED), leaving=True)
    async with talking(analyzers, restored=begins) as talk:
        assert talk.conversation.checkpoint().leaving
        await talk.conversation.resume(SORRY, unanswered=False)
        assert (talk.notes.goodbyes, talk.sink.chunks) == (1, [])


async def test_a_goodbye_that_was_cut_off_is_said_again_and_ends_the_call(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await talk.conversation.answer("Goodbye!")
        await until(lambda: talk.sink.draining, "the goodbye is under way", seconds=20)
        lost = stored(talk.conversation.checkpoint())
    assert lost.leaving
    async with talking(analyzers, restored=lost) as talk:
        await talk.conversation.resume(SORRY, unanswered=lost.unanswered)
        await until(lambda: talk.notes.goodbyes, "the agent wants to end", seconds=20)
        assert talk.notes.agent == [(SORRY, False), ("Goodbye!", False)]


async def test_what_happens_is_a_change_of_the_checkpoint(analyzers: Analyzers) -> None:
    async with talking(analyzers, plays=False) as talk:
        await talk.conversation.answer("My name is Ada.")
        await until(lambda: talk.notes.changes >= 1, "words are a change", seconds=20)
        assert talk.conversation.checkpoint().messages == (NAMED,)
        await until(lambda: talk.sink.draining, "the answer is under way", seconds=20)
        begun = talk.notes.changes
        assert begun >= 2, "a sentence that begins is a change"
        talk.sink.instant = True
        talk.sink.finish()
        await until(lambda: talk.notes.agent, "the answer is told", seconds=20)
        assert talk.notes.changes >= begun + 2, "a sentence that was heard is a change, and so is the turn's end"
        assert talk.conversation.checkpoint() == Checkpoint(messages=(NAMED, GREETED))


class Oven:
    """Tools that count how often they ran, and wait until they are let go."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.go = asyncio.Event()

    def tools(self) -> list[Any]:
        async def pizza() -> str:
            """Bake a pizza."""
            self.ran.append("pizza")
            await self.go.wait()
            return "It is in the oven."

        @repeatable
        async def prices() -> str:
            """Look up prices."""
            self.ran.append("prices")
            await self.go.wait()
            return "It costs nine euros."

        return [pizza, prices]


class Keeper:
    """Keeps what is to be written before the brain or a tool runs, and what had run by then."""

    def __init__(self, oven: Oven) -> None:
        self.oven = oven
        self.kept: list[tuple[Checkpoint, list[str]]] = []
        self.before_the_brain: list[Checkpoint] = []

    async def keep(self, checkpoint: Checkpoint, *, for_tool: bool) -> None:
        if for_tool:
            self.kept.append((checkpoint, list(self.oven.ran)))
        else:
            self.before_the_brain.append(checkpoint)


async def test_a_tool_that_must_not_run_twice_is_written_down_before_it_runs(analyzers: Analyzers) -> None:
    oven = Oven()
    keeper = Keeper(oven)
    async with talking(analyzers, tools=oven.tools(), keep=keeper.keep) as talk:
        await talk.conversation.answer("Make a pizza please.")
        await until(lambda: oven.ran, "the tool runs", seconds=20)
        assert keeper.before_the_brain[0].messages[-1] == {"role": "user", "content": "Make a pizza please."}
        ((before, ran),) = keeper.kept
        assert (ran, [(entry.name, entry.done) for entry in before.journal]) == ([], [("pizza", False)])
        await until(lambda: "IN_PROGRESS" in str(talk.conversation.checkpoint().messages), "it is in the context")
        oven.go.set()
        await until(lambda: talk.said, "the result is told", seconds=20)
        assert talk.conversation.checkpoint().journal == ()
    lost = stored(before)
    assert "not known" in str(lost.messages)
    again = Oven()
    async with talking(analyzers, tools=again.tools(), restored=lost) as talk:
        await talk.conversation.resume("", unanswered=lost.unanswered)
        await until(lambda: talk.said, "the interruption is told", seconds=20)
        assert "not known whether it was carried out" in talk.said
        assert again.ran == []


async def test_a_repeatable_tool_waits_for_no_store_and_runs_again(analyzers: Analyzers) -> None:
    oven = Oven()
    keeper = Keeper(oven)
    async with talking(analyzers, tools=oven.tools(), keep=keeper.keep) as talk:
        await talk.conversation.answer("What are the prices?")
        await until(lambda: oven.ran, "the tool runs", seconds=20)
        assert keeper.kept == []
        lost = stored(talk.conversation.checkpoint(), "prices")
    again = Oven()
    again.go.set()
    async with talking(analyzers, tools=again.tools(), restored=lost) as talk:
        await talk.conversation.resume("", unanswered=lost.unanswered)
        await until(lambda: talk.said, "the result is told", seconds=20)
        assert (again.ran, talk.said) == (["prices"], "It costs nine euros.")


def words_and_call(words: str, tool: str) -> list[dict[str, Any]]:
    """A brain that says something and calls a tool in one answer."""
    call = {"index": 0, "id": "call_of_brain", "type": "function", "function": {"name": tool, "arguments": "{}"}}
    return [chunk({"role": "assistant", "content": words}), chunk({"tool_calls": [call]}), chunk({}, "tool_calls")]


async def test_a_tool_that_ended_while_the_agent_still_spoke_never_runs_again(analyzers: Analyzers) -> None:
    oven = Oven()
    oven.go.set()
    asks = words_and_call("One moment please.", "pizza")
    async with asking(analyzers, asks, tools=oven.tools(), plays=False) as talk:
        await talk.conversation.answer("A pizza.")
        await until(lambda: oven.ran and talk.sink.draining, "the tool ran, and the words before it are under way")
        talk.sink.unplayed = 0.4
        checkpoint = talk.conversation.checkpoint()
        assert "tool_calls" not in str(checkpoint.messages), "Pipecat writes it down once the words were heard"
        lost = stored(checkpoint)
    assert lost.heard in ("One", "One moment")
    again = Oven()
    async with asking(analyzers, text_answer("It is in."), tools=again.tools(), restored=lost) as talk:
        await talk.conversation.resume(SORRY, unanswered=lost.unanswered)
        await until(lambda: "It is in." in talk.said, "the result is told", seconds=20)
        assert again.ran == []
        system, caller, call, result = talk.requests[0]["messages"]
        assert system == {"role": "system", "content": "Be kind."}
        assert caller == {"role": "user", "content": "A pizza."}
        assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "call_of_brain"
        assert result["content"] == '"It is in the oven."'


async def test_words_of_a_turn_that_had_not_ended_are_answered(analyzers: Analyzers) -> None:
    async with talking(analyzers) as talk:
        ears = talk.conversation._built.aggregators.user()
        await ears.queue_frame(TranscriptionFrame("My name is Ada.", "caller", "now"))
        await until(lambda: talk.notes.changes, "words are a change")
        checkpoint = talk.conversation.checkpoint()
        lost = stored(checkpoint)
    assert checkpoint == Checkpoint(pending="My name is Ada.", tried=1)
    async with talking(analyzers, restored=lost) as talk:
        await talk.conversation.resume("", unanswered=lost.unanswered)
        await until(lambda: talk.said, "the answer is told", seconds=20)
        assert talk.said == GREETED["content"]
