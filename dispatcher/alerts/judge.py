"""Decides which alerts begin and which are over, from what the store says now and said before; alerts.py asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from session.record import State
from session.store.ports import Stats, Worker

WINDOW_SECONDS = 300.0  # over which starts are judged
FEWEST_STARTS = 5  # in the window, before their errors are judged
OVER_SECONDS = 60.0  # for which an alert's condition must be gone until it is over: it does not flutter

MOST_STARTING, MOST_QUEUED, SLOW_SECONDS, MOST_ERRORS = 10, 20, 25.0, 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Totals since the store began. `at`: Unix seconds; `startup_seconds`: summed over the ready."""

    at: float
    assigned: int
    failed: int
    startup_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One alert. Times are Unix seconds.

    Attributes:
        since: since when its condition holds.
        posted: whether its beginning was posted.
        gone_at: since when its condition does not hold; None while it holds.
    """

    since: float
    posted: bool = False
    gone_at: float | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept from look to look: the samples of the window, oldest first, and the alerts that are under way."""

    samples: Sequence[Sample] = ()
    episodes: Mapping[str, Episode] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store says now."""

    at: float
    counts: Mapping[State, int]
    workers: Sequence[Worker]
    stats: Stats


@dataclass(frozen=True, slots=True)
class Window:
    """What came of the starts of the window."""

    ready: int
    failed: int
    mean_seconds: float | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert. `seconds`: for which its value must be too high; `value`: None where it cannot be told."""

    name: str
    sentence: str
    seconds: float
    most: float
    value: Callable[[Seen, Window], float | None]


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be posted. `value`: the rule's, now."""

    rule: Rule
    firing: bool
    since: float
    value: float


def _starts_without_pool(seen: Seen, window: Window) -> float:
    """How many sessions start while no process is warm."""
    idle = sum(worker.idle for worker in seen.workers)
    return float(seen.counts.get(State.STARTING, 0)) if idle == 0 else 0.0


def _errors(seen: Seen, window: Window) -> float | None:
    all_starts = window.ready + window.failed
    return window.failed / all_starts if all_starts >= FEWEST_STARTS else None


RULES = (
    Rule("GreenroomPoolEmpty", "No process is warm while calls start.", 60.0, 0.0, _starts_without_pool),
    Rule(
        "GreenroomManyStarting",
        f"More than {MOST_STARTING} sessions are starting.",
        60.0,
        MOST_STARTING,
        lambda seen, _: float(seen.counts.get(State.STARTING, 0)),
    ),
    Rule(
        "GreenroomStartsSlow",
        f"Starts take more than {SLOW_SECONDS:g} s on average.",
        60.0,
        SLOW_SECONDS,
        lambda _, window: window.mean_seconds,
    ),
    Rule("GreenroomStartErrors", f"More than {MOST_ERRORS:.0%} of starts fail.", 120.0, MOST_ERRORS, _errors),
    Rule(
        "GreenroomQueueLong",
        f"More than {MOST_QUEUED} sessions wait in the queue.",
        60.0,
        MOST_QUEUED,
        lambda seen, _: float(seen.counts.get(State.QUEUED, 0)),
    ),
)


def judge(memory: Memory, seen: Seen) -> tuple[Memory, Sequence[Notice]]:
    """What is remembered from now on, and what is to be posted.

    The memory counts each notice as posted: keep the one of before where posting fails, and judge again later.

    Args:
        memory: what the look before this one remembered.
        seen: what the store says now.
    """
    samples = _samples(memory.samples, seen)
    window = _window(samples)
    episodes, notices = dict(memory.episodes), list[Notice]()
    for rule in RULES:
        value = rule.value(seen, window)
        episode = episodes.pop(rule.name, None)
        holds = value is not None and value > rule.most
        if holds:
            episode = replace(episode, gone_at=None) if episode is not None else Episode(since=seen.at)
            if not episode.posted and seen.at - episode.since >= rule.seconds:
                episode = replace(episode, posted=True)
                notices.append(Notice(rule, True, episode.since, value or 0.0))
        elif episode is not None and not episode.posted:
            episode = None
        elif episode is not None:
            gone_at = seen.at if episode.gone_at is None else episode.gone_at
            episode = replace(episode, gone_at=gone_at)
            if seen.at - gone_at >= OVER_SECONDS:
                notices.append(Notice(rule, False, episode.since, value or 0.0))
                episode = None
        if episode is not None:
            episodes[rule.name] = episode
    return Memory(samples, episodes), notices


def _samples(before: Sequence[Sample], seen: Seen) -> Sequence[Sample]:
    stats = seen.stats
    now = Sample(at=seen.at, assigned=stats.assigned, failed=stats.failed, startup_seconds=stats.startup_seconds)
    recent = [
        each for each in before if seen.at - WINDOW_SECONDS <= each.at < seen.at and each.assigned <= now.assigned
    ]
    return [*recent, now]


def _window(samples: Sequence[Sample]) -> Window:
    first, last = samples[0], samples[-1]
    ready = last.assigned - first.assigned
    mean = (last.startup_seconds - first.startup_seconds) / ready if ready else None
    return Window(ready, last.failed - first.failed, mean)
