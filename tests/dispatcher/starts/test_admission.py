from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dispatcher.errors import ConfigNotAllowed, ProviderNotUsable, UnknownAgent
from dispatcher.fleet.workers import FRESH_SECONDS, seats
from dispatcher.starts.admission import RESTART_SECONDS, TURN_SECONDS, Admitted, admit, estimated_wait
from session.errors import NoWorker, SessionError
from session.store.ports import SILENT_SECONDS, Worker
from tests.session.making import NOON, a_worker

AGENTS = {"default": ("prompt", "tts"), "shop": ()}
PROVIDERS = {"tts": ("hibari", "cartesia")}


def able(worker_id: str = "worker_a", *, seen: float = 0.0, **changes: Any) -> Worker:
    """A worker with 4 slots; `seen`: seconds since its last heartbeat."""
    return a_worker(worker_id, **{"agents": AGENTS, "providers": PROVIDERS, "seen_at": NOON - seen, **changes})


def ask(workers: Sequence[Worker], agent: str = "default", **config: Any) -> Admitted:
    return admit(workers, NOON, agent=agent, config=config)


FULL: dict[str, Any] = {"active": 4, "idle": 0, "starting": 0}
OTHER: dict[str, Any] = {"agents": {"other": ()}}


@pytest.mark.parametrize(
    ("workers", "prewarmed"),
    [
        pytest.param([able()], True, id="one with idle processes serves at once"),
        pytest.param([able(idle=0)], False, id="one without idle processes serves after a cold start"),
        pytest.param([able(idle=0), able("worker_b")], True, id="an idle process anywhere makes it warm"),
        pytest.param([able(active=3, idle=1)], True, id="the last slot is a slot"),
        pytest.param([able(**FULL), able("worker_b", idle=0)], False, id="one full worker does not stop another"),
        pytest.param(
            [able(**{**FULL, "idle": 1}), able("worker_b", idle=0)],
            False,
            id="an idle process of a full worker does not count",
        ),
        pytest.param(
            [able(draining=True), able("worker_b", idle=0)],
            False,
            id="an idle process of a draining worker does not count",
        ),
        pytest.param(
            [able(**OTHER), able("worker_b", idle=0)],
            False,
            id="an idle process of a worker without this agent does not count",
        ),
        pytest.param(
            [able(seen=FRESH_SECONDS + 0.1), able("worker_b", idle=0)],
            False,
            id="an idle process of a worker that may have died does not count",
        ),
    ],
)
def test_a_start_begins_at_once(workers: Sequence[Worker], prewarmed: bool) -> None:
    admitted = ask(workers)
    assert (admitted.free, admitted.prewarmed) == (True, prewarmed)


@pytest.mark.parametrize(
    ("workers", "slots"),
    [
        pytest.param([able(**FULL)], 4, id="every slot is taken"),
        pytest.param([able(**FULL), able("worker_b", **FULL)], 8, id="every slot of two workers is taken"),
        pytest.param([able(**FULL), able("worker_b", **OTHER)], 4, id="only a worker without this agent has a slot"),
        pytest.param([able(seen=FRESH_SECONDS + 0.1)], 4, id="the only worker missed two heartbeats"),
        pytest.param([able(seen=SILENT_SECONDS)], 0, id="the only worker fell silent and may be restarting"),
        pytest.param([able(seen=299)], 0, id="it was last seen five minutes ago"),
        pytest.param([able(left=True)], 0, id="the only worker left in good order"),
        pytest.param([able(draining=True)], 0, id="the only worker takes no new calls"),
        pytest.param([able(seen=60), able("worker_b", **FULL)], 4, id="one is full and one is gone"),
    ],
)
def test_a_start_must_wait(workers: Sequence[Worker], slots: int) -> None:
    assert ask(workers) == Admitted(slots=slots, seats=seats(workers, NOON), free=False, prewarmed=False)


def test_the_deployment_of_the_worker_with_most_room_is_asked() -> None:
    workers = [
        able("worker_a", active=1, deployment="blue"),
        able("worker_b", active=0, deployment="green"),
        able("worker_c", active=0, idle=0, deployment="red"),
    ]
    assert ask(workers).deployment == "green"


@pytest.mark.parametrize(
    ("workers", "agent", "config", "error"),
    [
        pytest.param([], "default", {}, NoWorker, id="no worker was seen lately"),
        pytest.param([able()], "unknown", {}, UnknownAgent, id="no worker has this agent"),
        pytest.param(
            [able(), able("worker_b", agents={"new": ()}, draining=True)],
            "new",
            {},
            UnknownAgent,
            id="only a draining worker has this agent",
        ),
        pytest.param([able()], "default", {"llm": "rules"}, ConfigNotAllowed, id="the agent keeps this field"),
        pytest.param([able()], "shop", {"prompt": "Hi"}, ConfigNotAllowed, id="the agent keeps every field"),
        pytest.param([able()], "default", {"tts": "nobody"}, ProviderNotUsable, id="nobody knows this provider"),
        pytest.param(
            [able()], "default", {"tts": {"name": "nobody"}}, ProviderNotUsable, id="nor where it has options"
        ),
        pytest.param([able()], "default", {"tts": {}}, ProviderNotUsable, id="a provider without a name"),
        pytest.param(
            [able()], "default", {"tts": "hibari, nobody"}, ProviderNotUsable, id="one of a list is not known"
        ),
        pytest.param([able()], "default", {"tts": "hibari,"}, ProviderNotUsable, id="a list with an empty place"),
        pytest.param(
            [able(providers={})], "default", {"tts": "hibari"}, ProviderNotUsable, id="no provider is usable here"
        ),
        pytest.param([able(**FULL)], "unknown", {}, UnknownAgent, id="what waiting cannot cure is said first"),
        pytest.param([able(seen=60)], "unknown", {}, UnknownAgent, id="also of a worker that may be restarting"),
    ],
)
def test_a_start_is_refused(
    workers: Sequence[Worker], agent: str, config: Mapping[str, Any], error: type[SessionError]
) -> None:
    with pytest.raises(error):
        ask(workers, agent, **config)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"prompt": "Be brief."}, id="a field that is open"),
        pytest.param({"tts": "cartesia"}, id="a provider by its name"),
        pytest.param({"tts": "cartesia, hibari"}, id="providers in order"),
        pytest.param({"tts": [{"name": "cartesia"}, "hibari"]}, id="a list of providers"),
        pytest.param({"tts": {"name": "hibari", "options": {"speed": 2}}}, id="a provider with options"),
    ],
)
def test_what_the_agent_leaves_open_can_be_chosen(config: Mapping[str, Any]) -> None:
    assert ask([able()], **config).prewarmed


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
        ask([able()], agent, **config)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("position", "slots", "limit", "seconds"),
    [
        pytest.param(1, 4, 30.0, TURN_SECONDS / 4, id="one of four calls may end soon"),
        pytest.param(2, 4, 30.0, TURN_SECONDS / 2, id="the second one waits twice as long"),
        pytest.param(99, 4, 30.0, 30.0, id="nobody waits longer than the queue lets him"),
        pytest.param(1, 0, 30.0, RESTART_SECONDS, id="without slots the worker's restart is waited for"),
        pytest.param(9, 0, 10.0, 10.0, id="and that not longer either"),
    ],
)
def test_how_long_a_start_may_have_to_wait(position: int, slots: int, limit: float, seconds: float) -> None:
    assert estimated_wait(position, slots, limit) == seconds
