"""Which workers take a call, by their heartbeats, in pure functions; starts, attempts and the queue ask."""

from __future__ import annotations

from collections.abc import Sequence

from session.store.ports import SILENT_SECONDS, Worker

FRESH_SECONDS = 2.5  # of a heartbeat (one a second): no worker with an older one is asked: a dead one costs a try


def taking(workers: Sequence[Worker], now: float) -> list[Worker]:
    """Those that live at `now` (Unix seconds) and take new calls."""
    return [each for each in workers if now - each.seen_at < SILENT_SECONDS and each.takes_calls]


def serving(workers: Sequence[Worker], agent: str) -> list[Worker]:
    """Those that take new calls for this agent; their heartbeats are recent already."""
    return [each for each in workers if agent in each.agents and each.takes_calls]


def seats(workers: Sequence[Worker], now: float) -> int:
    """How many sessions there can be at `now` (Unix seconds), whatever their agents: as many as these workers carry.

    A worker that drains or is cordoned keeps its calls, and they their seats, without making room for new ones.
    """
    alive = [each for each in workers if now - each.seen_at < SILENT_SECONDS and not each.left]
    return sum(each.slots if each.takes_calls else each.active for each in alive)


def chosen(workers: Sequence[Worker]) -> Worker:
    """Of these, whose deployment is asked: the one with most warm processes, then with most free slots."""
    return max(workers, key=lambda each: (each.idle > 0, each.slots - each.active, each.id))
