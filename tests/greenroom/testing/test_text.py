"""Conversations in text: the agent's own pipeline, with its brain or a script."""

import asyncio
import time

import pytest
from pydantic import SecretStr

from greenroom.testing import settling
from greenroom.testing.caller import CallEnded, Caller, Unfinished, Verdict
from greenroom.testing.script import answer, calls, fails
from greenroom.testing.text import TextCall
from greenroom.testing.watching import NoSuchTool
from pipeline.agents.definition import Agent
from pipeline.agents.tools import end_call
from pipeline.errors import MissingKey
from pipeline.providers import Provider
from pipeline.settings import PipelineSettings
from tests.pipeline.providers.openai_server import OpenAIServer, text_answer, tool_answer

pytestmark = pytest.mark.anyio
SETTINGS = PipelineSettings(_env_file=None)


async def price(pizza: str) -> str:
    """Look up a price. Use it when the caller asks for one.

    Args:
        pizza: Its name.
    """
    await asyncio.sleep(0.2)
    if pizza == "nothing":
        raise LookupError("we have no such thing")
    return f"{pizza} costs 9 euros"


def agent(**more):
    return Agent(**{"name": "a", "prompt": "Be kind.", "greeting": "Good day.", "tools": [price, end_call], **more})


def scripted(*answers, seconds=10, **more):
    return TextCall(
        agent(), SETTINGS, brain=[answer(given) for given in answers], seconds=seconds, patience=0.2, **more
    )


async def never(**_):
    await asyncio.Event().wait()


class Agrees:
    async def judge(self, criterion, exchanges):
        return Verdict(criterion, True, "yes")


async def test_the_agents_own_brain_answers_and_remembers():
    async with TextCall(agent(), SETTINGS) as call:
        assert (await call.begin()).said == "Good day."
        await call.say("My name is Alice.")
        assert (await call.say("What is my name?")).said == "Your name is Alice."


async def test_an_exchange_ends_only_after_a_slow_tool_and_the_words_on_it():
    async with scripted(["One moment. ", calls("price", pizza="salami")], "It costs nine.") as call:
        await call.begin()
        exchange = await call.say("How much is a salami?")
    assert exchange.said == "One moment. It costs nine."
    assert [(tool.name, tool.arguments, tool.result) for tool in exchange.tools] == [
        ("price", {"pizza": "salami"}, "salami costs 9 euros")
    ]


async def test_a_tool_that_failed_shows_its_error():
    async with scripted(calls("price", pizza="nothing"), "Sorry.") as call:
        await call.begin()
        exchange = await call.say("How much is nothing?")
    assert exchange.tools[0].error.startswith("LookupError: we have no such thing at ")


async def test_a_test_answers_for_a_tool():
    async with scripted(calls("price", pizza="x"), "Fine.", tools={"price": "free"}) as call:
        await call.begin()
        assert (await call.say("How much?")).tools[0].result == "free"


async def test_an_answer_for_an_unknown_tool_is_refused():
    with pytest.raises(NoSuchTool):
        TextCall(agent(), SETTINGS, tools={"prices": 1})


async def test_words_over_the_answer_cut_it_off_and_are_answered():
    async with scripted("I have a long story to tell you. It begins.", "What is it?") as call:
        await call.begin()
        exchange = await call.say("Hello", interrupts="Wait")
    assert exchange.said == "I have a long What is it?"
    assert (exchange.caller, exchange.interrupts) == ("Hello", "Wait")


async def test_words_over_a_tool_that_takes_long_stop_it():
    async with scripted(calls("price", pizza="x"), "What else?", tools={"price": never}) as call:
        await call.begin()
        exchange = await call.say("How much?", interrupts="Never mind")
    assert exchange.said == "What else?"
    assert [tool.result for tool in exchange.tools] == ["CANCELLED"]


async def test_an_agent_that_never_begins_cannot_be_interrupted(monkeypatch):
    monkeypatch.setattr(settling, "TOOL_SECONDS", 60.0)
    async with scripted(calls("price", pizza="x"), seconds=2, tools={"price": never}) as call:
        await call.begin()
        with pytest.raises(Unfinished, match="not done after 2 s"):
            await call.say("How much?", interrupts="Never mind")


async def test_the_call_ends_and_the_caller_cannot_go_on():
    async with scripted(calls("end_call"), "Goodbye.") as call:
        caller = Caller(call, Agrees())
        await caller.begin()
        assert (await caller.says("Bye")).ended == "finished"
        with pytest.raises(CallEnded, match=r"'One more thing'.*finished"):
            await caller.says("One more thing")


async def test_a_script_that_is_too_short_says_so_and_shows_how_far_it_came():
    async with scripted(calls("price", pizza="x")) as call:
        caller = Caller(call, Agrees())
        await caller.begin()
        with pytest.raises(Unfinished, match=r"more often than its script has answers \(1\)"):
            await caller.says("How much?")
    assert [tool.name for tool in caller.exchanges[-1].tools] == ["price"]


async def test_an_agent_that_is_not_done_in_time_is_given_up():
    async with scripted(calls("price", pizza="x"), "Late.", seconds=2, tools={"price": never}) as call:
        await call.begin()
        with pytest.raises(Unfinished, match="not done after 2 s"):
            await call.say("How much?")


async def test_a_real_model_is_asked_with_prompt_and_tools():
    answers = (tool_answer("price", '{"pizza": ', '"funghi"}'), text_answer("Nine ", "euros."))
    async with OpenAIServer(*answers).serving() as server:
        settings = PipelineSettings(_env_file=None, openai_base_url=server.url, openai_server_key=SecretStr("key"))
        own = agent(llm=Provider("openai-compatible", {"model": "tiny"}), stt="deepgram", tts="inworld")
        async with TextCall(own, settings) as call:
            await call.begin()
            exchange = await call.say("How much is a funghi?")
    assert exchange.said == "Nine euros."
    assert exchange.called("price", pizza="funghi")
    assert "Be kind." in str(server.requests[0]["messages"][0])


async def test_a_script_that_fails_is_asked_again():
    async with scripted(fails(429), "Here I am.") as call:
        await call.begin()
        assert (await call.say("Hello?")).said == "Here I am."


async def test_a_script_that_fails_for_good_ends_the_call():
    async with scripted(fails(401)) as call:
        await call.begin()
        assert (await call.say("Hello?")).ended == "provider_failed"


async def test_a_failing_model_ends_the_call_as_it_does_for_callers():
    async with OpenAIServer(401).serving() as server:
        settings = PipelineSettings(_env_file=None, openai_base_url=server.url)
        async with TextCall(agent(llm=Provider("openai-compatible", {"model": "tiny"})), settings) as call:
            await call.begin()
            assert (await call.say("Hello?")).ended == "provider_failed"


async def test_the_next_model_of_a_list_answers_when_one_fails():
    async with OpenAIServer(401).serving() as server:
        settings = PipelineSettings(_env_file=None, openai_base_url=server.url, openai_server_key=SecretStr("key"))
        own = agent(llm=[Provider("openai-compatible", {"model": "tiny"}), "rules"])
        async with TextCall(own, settings) as call:
            await call.begin()
            assert (await call.say("What is two plus two?")).says("4")


async def test_speech_needs_no_keys_but_the_brain_does():
    TextCall(agent(stt="deepgram", tts="elevenlabs"), SETTINGS)
    with pytest.raises(MissingKey, match="GROQ_API_KEY"):
        TextCall(agent(llm="groq"), SETTINGS)


async def test_a_hundred_exchanges_take_a_second_or_so():
    began = time.process_time()  # as a machine that others use, too, takes any time
    async with TextCall(agent(), SETTINGS) as call:
        await call.begin()
        for _ in range(100):
            await call.say("Hello.")
    assert time.process_time() - began < 5
