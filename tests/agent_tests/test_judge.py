"""The judge: what it is asked, and what its answers mean."""

import json

import pytest
from pydantic import SecretStr

from agent_tests.judge import JudgeFailed, ModelJudge, NoJudge, judge_of, transcript, verdict
from greenroom.testing.exchange import Exchange, ToolCall
from pipeline.settings import PipelineSettings
from tests.agent_tests.judging import JudgingServer

pytestmark = pytest.mark.anyio
TALK = [Exchange("", "Hello."), Exchange("Time?", "Noon.", (ToolCall("clock", {"zone": "UTC"}, "12:00"),))]


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ('{"holds": true, "reason": "It greets."}', True),
        ('```json\n{"reason": "rude", "holds": false}\n```', False),
        ('<think>{"holds": true}, or not?</think> {"holds": false, "reason": "no"}', False),
    ],
)
async def test_the_last_verdict_in_an_answer_counts(said, holds):
    assert bool(verdict("is polite", said)) is holds


@pytest.mark.parametrize("said", ["", "yes", '{"holds": "yes"}', '{"holds": tr'])
async def test_an_answer_without_a_verdict_is_none(said):
    with pytest.raises(JudgeFailed, match="no verdict on “is polite”"):
        verdict("is polite", said)


async def test_the_judge_reads_the_whole_conversation():
    assert transcript(TALK).splitlines() == [
        "agent: Hello.",
        "caller: Time?",
        "tool clock({'zone': 'UTC'}): 12:00",
        "agent: Noon.",
    ]


async def test_a_model_is_asked_by_the_openai_compatible_settings():
    async with JudgingServer('{"holds": false, "reason": "too short"}').serving() as server:
        settings = PipelineSettings(
            _env_file=None, openai_base_url=server.url, openai_server_key=SecretStr("secret"), judge_model="wise"
        )
        judged = await judge_of(settings).judge("is polite", TALK)
    assert (judged.holds, judged.reason, judged.asked) == (False, "too short", True)
    (request,) = server.requests
    assert request["model"] == "wise"
    assert "Criterion: the agent is polite" in request["messages"][1]["content"]
    assert server.keys == ["Bearer secret"]
    assert "secret" not in json.dumps(request)


async def test_a_judge_that_cannot_be_asked_is_an_error():
    with pytest.raises(JudgeFailed, match="could not be asked"):
        await ModelJudge("http://127.0.0.1:9/v1", "secret", "wise").judge("is polite", TALK)


async def test_without_a_server_or_a_model_nobody_is_asked():
    for settings in ({}, {"judge_model": "wise"}, {"openai_base_url": "http://127.0.0.1:9/v1"}):
        judge = judge_of(PipelineSettings(_env_file=None, **settings))
        assert isinstance(judge, NoJudge)
        judged = await judge.judge("is polite", TALK)
        assert judged.holds
        assert not judged.asked
        assert "GREENROOM_JUDGE_MODEL" in judged.reason
