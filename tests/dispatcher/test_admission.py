from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dispatcher.admission import Admitted, admit
from dispatcher.errors import ConfigNotAllowed, ProviderNotUsable, UnknownAgent
from session.errors import NoCapacity, NoWorker, SessionError
from session.store import Worker
from tests.session.making import a_worker

AGENTS = {"default": ("prompt", "tts"), "shop": ()}
PROVIDERS = {"tts": ("hibari", "cartesia")}


def serving(worker_id: str = "worker_a", **changes: Any) -> Worker:
    return a_worker(worker_id, **{"agents": AGENTS, "providers": PROVIDERS, **changes})


FULL: dict[str, Any] = {"active": 4, "idle": 0, "starting": 0}


@pytest.mark.parametrize(
    ("workers", "prewarmed"),
    [
        pytest.param([serving()], True, id="one with idle processes serves at once"),
        pytest.param([serving(idle=0)], False, id="one without idle processes serves after a cold start"),
        pytest.param([serving(idle=0), serving("worker_b")], True, id="an idle process anywhere makes it warm"),
        pytest.param([serving(active=3, idle=1)], True, id="the last slot is a slot"),
        pytest.param([serving(**FULL), serving("worker_b", idle=0)], False, id="one full worker does not stop another"),
        pytest.param(
            [serving(**{**FULL, "idle": 1}), serving("worker_b", idle=0)],
            False,
            id="an idle process of a full worker does not count",
        ),
        pytest.param(
            [serving(draining=True), serving("worker_b", idle=0)],
            False,
            id="an idle process of a draining worker does not count",
        ),
        pytest.param(
            [serving(agents={"other": ()}), serving("worker_b", idle=0)],
            False,
            id="an idle process of a worker without this agent does not count",
        ),
    ],
)
def test_a_start_is_admitted(workers: Sequence[Worker], prewarmed: bool) -> None:
    assert admit(workers, agent="default", config={}) == Admitted(prewarmed=prewarmed)


@pytest.mark.parametrize(
    ("workers", "agent", "config", "error"),
    [
        pytest.param([], "default", {}, NoWorker, id="no worker is there"),
        pytest.param([serving(draining=True)], "default", {}, NoWorker, id="the only worker is draining"),
        pytest.param([serving()], "unknown", {}, UnknownAgent, id="no worker has this agent"),
        pytest.param(
            [serving(), serving("worker_b", agents={"new": ()}, draining=True)],
            "new",
            {},
            UnknownAgent,
            id="only a draining worker has this agent",
        ),
        pytest.param([serving()], "default", {"llm": "rules"}, ConfigNotAllowed, id="the agent keeps this field"),
        pytest.param([serving()], "shop", {"prompt": "Hi"}, ConfigNotAllowed, id="the agent keeps every field"),
        pytest.param([serving()], "default", {"tts": "nobody"}, ProviderNotUsable, id="nobody knows this provider"),
        pytest.param(
            [serving()], "default", {"tts": {"name": "nobody"}}, ProviderNotUsable, id="nor where it has options"
        ),
        pytest.param([serving()], "default", {"tts": {}}, ProviderNotUsable, id="a provider without a name"),
        pytest.param(
            [serving(providers={})], "default", {"tts": "hibari"}, ProviderNotUsable, id="no provider is usable here"
        ),
        pytest.param([serving(**FULL)], "default", {}, NoCapacity, id="every slot is taken"),
        pytest.param(
            [serving(**FULL), serving("worker_b", agents={"other": ()})],
            "default",
            {},
            NoCapacity,
            id="only a worker without this agent has a slot",
        ),
        pytest.param([serving(**FULL)], "unknown", {}, UnknownAgent, id="what waiting cannot cure is said first"),
    ],
)
def test_a_start_is_refused(
    workers: Sequence[Worker], agent: str, config: Mapping[str, Any], error: type[SessionError]
) -> None:
    with pytest.raises(error):
        admit(workers, agent=agent, config=config)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"prompt": "Be brief."}, id="a field that is open"),
        pytest.param({"tts": "cartesia"}, id="a provider by its name"),
        pytest.param({"tts": {"name": "hibari", "options": {"speed": 2}}}, id="a provider with options"),
    ],
)
def test_what_the_agent_leaves_open_can_be_chosen(config: Mapping[str, Any]) -> None:
    assert admit([serving()], agent="default", config=config).prewarmed


@pytest.mark.parametrize(
    ("agent", "config", "words"),
    [
        pytest.param("unknown", {}, ("'unknown'", "default, shop"), id="the agents there are"),
        pytest.param("default", {"voice": "x"}, ("config.voice", "prompt, tts"), id="the fields that are open"),
        pytest.param("shop", {"voice": "x"}, ("config.voice", "nothing"), id="that no field is open"),
        pytest.param("default", {"tts": "x"}, ("config.tts", "cartesia, hibari"), id="the providers that work"),
    ],
)
def test_a_refusal_says_what_there_is_instead(agent: str, config: Mapping[str, Any], words: Sequence[str]) -> None:
    with pytest.raises(SessionError) as caught:
        admit([serving()], agent=agent, config=config)
    for word in words:
        assert word in str(caught.value)
