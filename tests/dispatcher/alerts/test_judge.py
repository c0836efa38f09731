"""When an alert begins, and when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from dispatcher.alerts.judge import FEWEST_STARTS, OVER_SECONDS, WINDOW_SECONDS, Memory, Seen, judge
from session.record import State
from session.store.ports import Stats
from tests.session.making import NOON, a_worker

WARM = a_worker(idle=3)
COLD = a_worker(idle=0)
NOTHING = Stats(0, 0, 0.0)
STEP = 5.0


@dataclass
class Watch:
    """Looks every STEP seconds; `posted`: what was to be posted, with the seconds since noon."""

    at: float = NOON
    memory: Memory = field(default_factory=Memory)
    posted: list[tuple[str, str, float]] = field(default_factory=list)

    def look(
        self,
        seconds: float,
        counts: Mapping[State, int] | None = None,
        *,
        stats: Stats = NOTHING,
        warm: bool = True,
    ) -> None:
        """For so long it is like this."""
        until = self.at + seconds
        while self.at < until:
            self.at += STEP
            seen = Seen(self.at, counts or {}, [WARM if warm else COLD], stats)
            self.memory, notices = judge(self.memory, seen)
            self.posted += [(each.rule.name, "firing" if each.firing else "over", self.at - NOON) for each in notices]


def test_all_is_well_while_nothing_happens() -> None:
    watch = Watch()
    watch.look(600)
    assert watch.posted == []
    assert watch.memory.episodes == {}
    assert len(watch.memory.samples) == WINDOW_SECONDS / STEP + 1


@pytest.mark.parametrize(
    ("name", "counts", "warm"),
    [
        ("GreenroomPoolEmpty", {State.STARTING: 1}, False),
        ("GreenroomManyStarting", {State.STARTING: 11}, True),
        ("GreenroomQueueLong", {State.QUEUED: 21}, True),
    ],
)
def test_what_lasts_a_minute_is_posted_once_and_again_when_over(
    name: str, counts: Mapping[State, int], warm: bool
) -> None:
    watch = Watch()
    watch.look(600, counts, warm=warm)
    assert watch.posted == [(name, "firing", 60.0 + STEP)]
    watch.look(OVER_SECONDS + STEP)
    watch.look(600)
    assert watch.posted[1:] == [(name, "over", 600.0 + STEP + OVER_SECONDS)]


@pytest.mark.parametrize(
    ("counts", "warm"),
    [({State.STARTING: 1}, True), ({}, False), ({State.STARTING: 10}, True), ({State.QUEUED: 20}, True)],
)
def test_what_is_allowed_is_no_alert(counts: Mapping[State, int], warm: bool) -> None:
    watch = Watch()
    watch.look(600, counts, warm=warm)
    assert watch.posted == []


def test_what_comes_and_goes_within_a_minute_is_none() -> None:
    watch = Watch()
    for _ in range(10):
        watch.look(50, {State.QUEUED: 21})
        watch.look(10)
    assert watch.posted == []


def test_an_alert_that_flutters_goes_on() -> None:
    watch = Watch()
    watch.look(100, {State.QUEUED: 21})
    for _ in range(10):
        watch.look(OVER_SECONDS - STEP)
        watch.look(10, {State.QUEUED: 21})
    assert [state for _, state, _ in watch.posted] == ["firing"]


def test_starts_that_fail_are_an_alert_once_there_are_enough_of_them() -> None:
    watch = Watch()
    watch.look(60, stats=Stats(0, 100, 50.0))
    watch.look(100, stats=Stats(0, 100 + FEWEST_STARTS - 2, 52.0, failed=1))
    assert watch.posted == []
    watch.look(200, stats=Stats(0, 104, 52.0, failed=2))
    assert [name for name, _, _ in watch.posted] == ["GreenroomStartErrors"]
    watch.look(WINDOW_SECONDS + 2 * OVER_SECONDS, stats=Stats(0, 104, 52.0, failed=2))
    assert [state for _, state, _ in watch.posted] == ["firing", "over"]


def test_starts_that_take_long_on_average_are_an_alert() -> None:
    watch = Watch()
    watch.look(60, stats=Stats(0, 100, 50.0))
    watch.look(100, stats=Stats(0, 102, 50.0 + 2 * 25.0))
    assert watch.posted == []
    watch.look(100, stats=Stats(0, 104, 50.0 + 4 * 26.0))
    assert [name for name, _, _ in watch.posted] == ["GreenroomStartsSlow"]


def test_a_store_that_was_lost_begins_anew() -> None:
    watch = Watch()
    watch.look(60, stats=Stats(0, 100, 50.0, failed=90))
    watch.look(400, stats=Stats(0, 1, 0.5))
    assert watch.posted == []
