"""Shares the fleet's warm processes out over its workers, in pure functions; fleet/pool.py asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from session.store.orders import PoolSize
from session.store.ports import Worker


@dataclass(frozen=True, slots=True)
class Room:
    """Of one worker: slots in all, and those that no call has."""

    slots: int
    free: int


def prewarm(workers: Sequence[Worker]) -> int:
    """PREWARM_POOL_SIZE as the worker has it that started last: while a new value is rolled out, they differ."""
    newest = max(workers, key=lambda each: (each.started_at, each.id), default=None)
    if newest is None:
        return 0
    return newest.target if newest.prewarm is None else newest.prewarm


def wanted(ordered: PoolSize | None, configured: int) -> int:
    """Idle processes over the whole fleet: as ordered, until PREWARM_POOL_SIZE is another than it was then."""
    return ordered.size if ordered is not None and ordered.prewarm == configured else configured


def rooms(workers: Sequence[Worker]) -> dict[str, Room]:
    """The workers that keep idle processes: those that take calls and were warm once."""
    return {
        each.id: Room(each.slots, max(0, each.slots - each.active))
        for each in workers
        if each.takes_calls and each.slots > 0
    }


def shares(size: int, among: Mapping[str, Room], held: Mapping[str, int]) -> dict[str, int]:
    """How many idle processes each of these workers keeps: as many as its slots at most, in proportion to the free.

    What they hold changes as little as possible: a process that is moved costs one worker a fork.

    Args:
        size: idle processes in all.
        among: the workers.
        held: what each was told before.
    """
    given = {each: min(held.get(each, 0), room.slots) for each, room in among.items()}
    size = min(size, sum(room.slots for room in among.values()))

    def fullness(worker: str, more: int = 0) -> tuple[float, str]:
        return (given[worker] + more) / max(1, among[worker].free), worker

    while sum(given.values()) > size:
        given[max((each for each in given if given[each] > 0), key=fullness)] -= 1
    while sum(given.values()) < size:
        given[min((each for each in given if given[each] < among[each].slots), key=lambda w: fullness(w, 1))] += 1
    return given


def told(workers: Sequence[Worker], given: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """Every worker's target: its share; nothing for the cordoned; for the others, as was said before.

    The others warm up their first process, or have lost LiveKit for a moment, or leave.
    """
    targets = dict(given)
    for each in workers:
        if each.id not in targets and each.cordoned:
            targets[each.id] = 0
        elif each.id not in targets and each.id in before and not each.left:
            targets[each.id] = before[each.id]
    return targets
