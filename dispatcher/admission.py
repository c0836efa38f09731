"""May a start begin, judged by the workers' heartbeats; pure: knows no store, no clock and no HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dispatcher.errors import ConfigNotAllowed, ProviderNotUsable, UnknownAgent
from session.errors import NoCapacity, NoWorker
from session.store import Worker

SILENT_SECONDS = 5.0  # without a heartbeat (one a second): the worker is not counted on
PROVIDER_FIELDS = ("stt", "llm", "tts")


@dataclass(frozen=True, slots=True)
class Admitted:
    """The start may begin. `prewarmed`: a warm process is idle for it."""

    prewarmed: bool


def admit(workers: Sequence[Worker], *, agent: str, config: Mapping[str, Any]) -> Admitted:
    """Whether one of these workers could serve this session now.

    Args:
        workers: those whose heartbeat is recent.
        agent: which agent is asked for.
        config: what the session chooses for itself; a provider is a name, or an object with a `name`.

    Raises:
        NoWorker: none is there that takes new calls.
        UnknownAgent: none of them has this agent.
        ConfigNotAllowed: its agent does not leave a field to sessions.
        ProviderNotUsable: a provider's name is unknown, or its key is missing.
        NoCapacity: they could, but have no free slot.
    """
    taking = [worker for worker in workers if not worker.draining]
    if not taking:
        raise NoWorker
    serving = [worker for worker in taking if agent in worker.agents]
    if not serving:
        known = sorted({name for worker in taking for name in worker.agents})
        raise UnknownAgent(f"There is no agent {agent!r}; known: {', '.join(known) or 'none'}.")
    for field in config:
        _check_field(serving, agent, field)
    for kind in PROVIDER_FIELDS:
        if kind in config:
            _check_provider(serving, kind, config[kind])
    free = [worker for worker in serving if worker.active < worker.slots]
    if not free:
        raise NoCapacity
    return Admitted(prewarmed=any(worker.idle > 0 for worker in free))


def _check_field(serving: Sequence[Worker], agent: str, field: str) -> None:
    if any(field in worker.agents[agent] for worker in serving):
        return
    allowed = sorted({each for worker in serving for each in worker.agents[agent]})
    raise ConfigNotAllowed(
        f"config.{field} cannot be chosen for agent {agent!r}; open: {', '.join(allowed) or 'nothing'}."
    )


def _check_provider(serving: Sequence[Worker], kind: str, given: Any) -> None:
    name = given.get("name") if isinstance(given, Mapping) else given
    usable = sorted({each for worker in serving for each in worker.providers.get(kind, ())})
    if name not in usable:
        raise ProviderNotUsable(f"config.{kind} {name!r} cannot be used here; usable: {', '.join(usable) or 'none'}.")
