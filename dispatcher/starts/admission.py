"""Whether a start may begin, and whether it must wait, by the workers' heartbeats; starts/start.py asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dispatcher.errors import ConfigNotAllowed, ProviderNotUsable, UnknownAgent
from dispatcher.fleet.workers import FRESH_SECONDS, chosen, seats, serving, taking
from dispatcher.starts.session_config import check_known, check_values, listed, provider_names
from session.errors import NoWorker
from session.store.ports import Worker

PROVIDER_FIELDS = ("stt", "llm", "tts")
RESTART_SECONDS = 15.0  # a worker needs about that long to be warm again
TURN_SECONDS = 30.0  # for which a call is taken to hold its slot, to estimate a wait


@dataclass(frozen=True, slots=True)
class Admitted:
    """The start is taken.

    Attributes:
        slots: of all workers that serve the agent; none while the only one restarts.
        seats: see `seats`.
        free: a worker can take it now.
        prewarmed: a warm process is idle for it.
        deployment: which workers are asked.
    """

    slots: int
    seats: int
    free: bool
    prewarmed: bool
    deployment: str = ""


def admit(workers: Sequence[Worker], now: float, *, agent: str, config: Mapping[str, Any]) -> Admitted:
    """Whether one of these workers could serve this session, now or soon.

    Args:
        workers: those seen within the last minutes: one that is silent or left may be restarting.
        now: Unix seconds.
        agent: which agent is asked for.
        config: what the session chooses for itself; a provider is a name, an object with a `name`, or a list.

    Raises:
        NoWorker: there is none, and there was none lately.
        UnknownAgent: none of them has this agent.
        ConfigNotAllowed: its agent does not leave a field to sessions.
        ProviderNotUsable: a provider's name is unknown, or its key is missing.
        BadConfig: a value is one that every agent refuses, or a voice or language that no provider here has.
    """
    if not workers:
        raise NoWorker
    candidates = taking(workers, now) or workers
    able = [worker for worker in candidates if agent in worker.agents]
    if not able:
        known = {name for worker in candidates for name in worker.agents}
        raise UnknownAgent(f"There is no agent {agent!r}; known: {listed(known)}.")
    for field in config:
        _check_field(able, agent, field)
    for kind in PROVIDER_FIELDS:
        if kind in config:
            _check_provider(able, kind, config[kind])
    check_values(config)
    check_known(able, agent, config)
    alive = serving(taking(workers, now), agent)
    free = [each for each in alive if each.active < each.slots and now - each.seen_at <= FRESH_SECONDS]
    return Admitted(
        slots=sum(each.slots for each in alive),
        seats=seats(workers, now),
        free=bool(free),
        prewarmed=any(each.idle > 0 for each in free),
        deployment=chosen(free).deployment if free else "",
    )


def estimated_wait(position: int, slots: int, limit: float) -> float:
    """Seconds until the start at this place of the queue (from 1) may begin, at most `limit`."""
    if slots < 1:
        return min(RESTART_SECONDS, limit)
    return min(TURN_SECONDS * position / slots, limit)


def _check_field(able: Sequence[Worker], agent: str, field: str) -> None:
    if any(field in worker.agents[agent] for worker in able):
        return
    allowed = sorted({each for worker in able for each in worker.agents[agent]})
    raise ConfigNotAllowed(
        f"config.{field} cannot be chosen for agent {agent!r}; open: {', '.join(allowed) or 'nothing'}."
    )


def _check_provider(able: Sequence[Worker], kind: str, given: Any) -> None:
    usable = {each for worker in able for each in worker.providers.get(kind, ())}
    for name in provider_names(given):
        if name not in usable:
            raise ProviderNotUsable(f"config.{kind} {name!r} cannot be used here; usable: {listed(usable)}.")
